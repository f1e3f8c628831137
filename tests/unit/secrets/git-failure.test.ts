import { exitCodes } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { gitFailure } from '../../../lib/secrets/git-contents.ts';

const test = suite('a git that gives no answer');

const ended = (stderr: string, exitCode = 128) => ({ stderr, exitCode, signal: null });

test('for the clone of another user, the error has git’s reason and command', () => {
  const { why, advice } = gitFailure(
    'git grep',
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
    'git grep',
    ended('warning: odd\nerror: bad signature 0x0\nfatal: index file corrupt\nhint: look\n'),
  );
  assert.is(why, 'index file corrupt');
  assert.is(advice, 'run `git status` and `git fsck` in a clone of the repository to see more');
  const missing = gitFailure('git grep', ended('bash: line 1: git: command not found\n', 127));
  assert.equal(
    [missing.what, missing.why, missing.exitCode],
    ['`git` is not installed', '`git grep` needs it', exitCodes.missingTool],
  );
  assert.is(gitFailure('git grep', ended('', 137)).what, '`git grep` was ended by SIGKILL');
});

test.run();
