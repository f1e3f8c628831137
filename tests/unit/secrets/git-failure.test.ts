import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { gitFailure } from '../../../lib/secrets/git-contents.ts';

const test = suite('a git that gives no answer');

const ended = (stderr: string, exitCode = 128) => ({ stderr, exitCode, signal: null });

test('for the clone of another user, the error has git’s reason and command', () => {
  const { why, advice } = gitFailure(
    ended(
      "fatal: detected dubious ownership in repository at '/some/clone'\n" +
        'To add an exception for this directory, call:\n\n' +
        "\tgit config --global --add safe.directory '/some/clone'\n",
    ),
  );
  assert.is(why, "detected dubious ownership in repository at '/some/clone'");
  assert.is(advice, "git config --global --add safe.directory '/some/clone'");
});

test('the reason is the fatal message, not what follows it', () => {
  const { why, advice } = gitFailure(
    ended('warning: odd\nerror: bad signature 0x0\nfatal: index file corrupt\nhint: look\n'),
  );
  assert.is(why, 'index file corrupt');
  assert.is(advice, 'run `git status` and `git fsck` in a clone of the repository to see more');
  assert.is(gitFailure(ended('bash: git: command not found\n', 127)).why, 'bash: git: command not found');
  assert.is(gitFailure(ended('', 137)).what, '`git` was ended by SIGKILL');
});

test.run();
