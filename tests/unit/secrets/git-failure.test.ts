import { exitCodes } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gitFailure } from '../../../lib/secrets/git-contents.ts';

const failure = (stderr: string, exitCode = 128) =>
  gitFailure('git grep', { stderr, exitCode, signal: null });

test('a failure of git has git’s fatal message, not what follows it, and the command that git suggests', () => {
  const trust = "git config --global --add safe.directory '/some/clone'";
  const foreign = "detected dubious ownership in repository at '/some/clone'";
  const suggested = `To add an exception for this directory, call:\n\n\t${trust}\n`;
  const other = failure(`fatal: ${foreign}\n${suggested}`);
  assert.equal([other.why, other.advice], [foreign, trust]);
  const damaged = failure('warning: odd\nerror: bad signature\nfatal: index file corrupt\nhint: look\n');
  const advice = 'run `git status` and `git fsck` in a clone of the repository to see more';
  assert.equal([damaged.why, damaged.advice], ['index file corrupt', advice]);
  const { what, why, exitCode } = failure('bash: line 1: git: command not found\n', 127);
  const missing = ['`git` is not installed', '`git grep` needs it', exitCodes.missingTool];
  assert.equal([what, why, exitCode], missing);
  assert.is(failure('', 137).what, '`git grep` was ended by SIGKILL');
});

test.run();
