import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodes } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { gitContents, gitFailure, gitFiles, indexOfHook } from '../../../lib/secrets/git-contents.ts';
import { fails, taskContext } from '../../rig/task-context.ts';

let folder: string;
const git = (...words: string[]): string =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...words], {
    ...{ cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  });
const commit = (...words: string[]) => git('commit', '--quiet', '--message', 'a file', ...words);
const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);

test.before.each(() => {
  folder = temporaryFolder();
  git('init', '--quiet');
  write('a', 'clean');
  git('add', 'a');
  commit();
});

const shell = (variables: NodeJS.ProcessEnv = {}) =>
  taskContext({}).$({ cwd: folder, env: { ...process.env, ...variables } });

/** As `file: content`, with `(index)` for what only the index has, of files with one of the texts. */
async function contents(variables?: NodeJS.ProcessEnv, texts = 'clean\nstaged\n') {
  const found = await gitContents(shell(variables), ['--fixed-strings', '-f', '-'], texts);
  return found.map(({ place, content }) => `${place}: ${content.toString('latin1')}`);
}

test('staged content is found even if the work tree has another version, or none', async () => {
  assert.equal(await contents(), ['a: clean\n']);
  write('a', 'first\r\n--\n\0staged\0\n\nlast');
  mkdirSync(join(folder, 'b'));
  write('b/key', 'staged, too');
  write('gone', 'staged, too');
  git('add', '.');
  write('a', 'clean');
  rmSync(join(folder, 'gone'));
  rmSync(join(folder, 'b'), { recursive: true });
  write('b', 'clean, a file');
  write('other', 'of no interest');
  assert.equal(await contents(), [
    'a: clean\n',
    'b: clean, a file\n',
    'a (in the index): first\r\n--\n\0staged\0\n\nlast\n',
    'b/key (in the index): staged, too\n',
    'gone (in the index): staged, too\n',
  ]);
});

test('settings of git do not change the answer', async () => {
  for (const name of ['color.ui', 'grep.lineNumber', 'grep.column', 'submodule.recurse'])
    git('config', name, name === 'color.ui' ? 'always' : 'true');
  assert.equal(await contents(), ['a: clean\n']);
});

test('a name is bytes, not UTF-8', async () => {
  const path = (name: string): Buffer => Buffer.from(`${folder}/${name}`, 'latin1');
  writeFileSync(path('caf\xe9.pem'), 'clean, untracked');
  writeFileSync(path('caf\xe8.pem'), 'staged');
  writeFileSync(path('caf\xc3\xa9 "\n.pem'), 'clean, in UTF-8');
  git('add', 'caf?.pem');
  git('reset', '--quiet', '--', 'caf*9.pem');
  rmSync(path('caf\xe8.pem'));
  assert.equal(await contents(), [
    'a: clean\n',
    'café "\n.pem: clean, in UTF-8\n',
    'caf\\xe9.pem: clean, untracked\n',
    'caf\\xe8.pem (in the index): staged\n',
  ]);
  assert.equal([...(await gitFiles(shell()))].sort(), ['a', 'caf\\xe8.pem', 'caf\\xe9.pem', 'café "\n.pem']);
});

test('a nested repository is skipped', async () => {
  mkdirSync(join(folder, 'inner'));
  git('init', '--quiet', 'inner');
  write('inner/file', 'clean, its own');
  assert.equal(await contents(), ['a: clean\n']);
  assert.equal([...(await gitFiles(shell()))], ['a']);
  git('-C', 'inner', 'add', '.');
  git('-C', 'inner', 'commit', '--quiet', '--message', 'a file');
  git('add', '.');
  assert.equal(await contents(), ['a: clean\n']);
});

test('content that git lacks is a failure', async () => {
  const id = git('rev-parse', ':a').trim();
  rmSync(join(folder, '.git/objects', id.slice(0, 2), id.slice(2)));
  write('a', 'clean, other');
  await fails(contents(), { why: `'a': unable to read ${id}` });
});

test('a hook checks what it commits, not the index of another repository', async () => {
  const seen = join(folder, '.git/seen');
  const hook = `printf %s "$GIT_INDEX_FILE" > '${seen}'\ncp "$GIT_INDEX_FILE" '${seen}.lock'\n`;
  writeFileSync(join(folder, '.git/hooks/pre-commit'), `#!/bin/sh\n${hook}`, { mode: 0o755 });
  write('a', 'committed');
  commit('a');
  const index = readFileSync(seen, 'utf8');
  const $ = shell();
  assert.is(await indexOfHook($, { GIT_INDEX_FILE: index }), index);
  assert.is(await indexOfHook($, { GIT_INDEX_FILE: '/else/.git/index' }), undefined);
  assert.is(await indexOfHook($, {}), undefined);
  git('reset', '--quiet', 'HEAD~');
  const variables = { GIT_INDEX_FILE: `${seen}.lock` };
  assert.equal(await contents(variables, 'committed\n'), ['a: committed\n']);
});

test('without a repository, the error has git’s reason', async () => {
  rmSync(join(folder, '.git'), { recursive: true });
  const advice = 'run `git status` and `git fsck` in a clone of the repository to see more';
  await fails(gitFiles(shell()), { why: /^not a git repository/, advice });
});

test('in a sub-folder, names begin there, whatever the user has set for git grep', async () => {
  git('config', 'grep.fullName', 'true');
  folder = join(folder, 'below');
  mkdirSync(folder);
  write('b', 'clean');
  assert.equal(await contents(), ['b: clean\n']);
});

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
