import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GitContent, gitContents, indexOfHook } from '../../../lib/secrets/git-contents.ts';
import { failureOf, taskContext } from '../../rig/task-context.ts';

type State = {
  folder: string;
  git: (...words: string[]) => string;
  write: (file: string, text: string) => void;
};

const test = suite<State>('what git has, or would take');

test.before.each((state) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'git-contents-')));
  state.folder = folder;
  state.git = (...words) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...words], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  state.write = (file, text) => writeFileSync(join(folder, file), text);
  state.git('init', '--quiet');
  state.write('a', 'clean');
  state.git('add', 'a');
  state.git('commit', '--quiet', '--message', 'a file');
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const shell = (folder: string, variables: NodeJS.ProcessEnv = {}) =>
  taskContext({}).$({ cwd: folder, env: { ...process.env, ...variables } });

/** As `file: content`, with `(index)` for what only the index has. */
async function contents(folder: string, variables?: NodeJS.ProcessEnv): Promise<string[]> {
  const found: GitContent[] = [];
  for await (const content of gitContents(shell(folder, variables), folder)) found.push(content);
  return found.map(
    ({ file, inIndexOnly, isLink, content }) =>
      `${file}${inIndexOnly ? ' (index)' : ''}${isLink ? ' ->' : ':'} ${content.toString('latin1')}`,
  );
}

test('staged content is found even if the work tree has another version, or none', async ({
  folder,
  git,
  write,
}) => {
  assert.equal(await contents(folder), ['a: clean']);
  write('a', 'staged\n\0');
  write('gone', 'staged too');
  git('add', '.');
  write('a', 'clean');
  rmSync(join(folder, 'gone'));
  write('untracked', 'new');
  assert.equal(await contents(folder), [
    'a: clean',
    'untracked: new',
    'a (index): staged\n\0',
    'gone (index): staged too',
  ]);
});

test('the index is read for a folder that a file or link replaced', async ({ folder, git, write }) => {
  mkdirSync(join(folder, 'b'));
  write('b/key', 'staged');
  git('add', '.');
  rmSync(join(folder, 'b'), { recursive: true });
  write('b', 'a file');
  assert.equal(await contents(folder), ['a: clean', 'b: a file', 'b/key (index): staged']);
  rmSync(join(folder, 'b'));
  symlinkSync('/nowhere', join(folder, 'b'));
  assert.equal(await contents(folder), ['a: clean', 'b -> /nowhere', 'b/key (index): staged']);
});

test('a file that the work tree skips is read from git', async ({ folder, git }) => {
  git('update-index', '--skip-worktree', 'a');
  rmSync(join(folder, 'a'));
  assert.equal(await contents(folder), ['a (index): clean']);
});

test('files of equal content keep their own names', async ({ folder, git, write }) => {
  for (const file of ['b', 'c']) write(file, 'same');
  git('add', '.');
  for (const file of ['b', 'c']) rmSync(join(folder, file));
  assert.equal(await contents(folder), ['a: clean', 'b (index): same', 'c (index): same']);
});

test('every side of a merge is found', async ({ folder, git, write }) => {
  git('checkout', '--quiet', '-b', 'other');
  write('a', 'theirs');
  git('commit', '--quiet', '--all', '--message', 'theirs');
  git('checkout', '--quiet', '-');
  write('a', 'ours');
  git('commit', '--quiet', '--all', '--message', 'ours');
  assert.throws(() => git('merge', 'other'));
  write('a', 'merged');
  assert.equal(await contents(folder), [
    'a: merged',
    'a (index): clean',
    'a (index): ours',
    'a (index): theirs',
  ]);
});

test('ids work in repositories of either hash', async ({ folder, git, write }) => {
  rmSync(join(folder, '.git'), { recursive: true });
  git('init', '--quiet', '--object-format=sha256');
  git('add', 'a');
  assert.equal(await contents(folder), ['a: clean']);
  write('a', 'other');
  assert.equal(await contents(folder), ['a: other', 'a (index): clean']);
});

test('a name is bytes, not UTF-8', async ({ folder, git }) => {
  const path = (name: string): Buffer => Buffer.from(`${folder}/${name}`, 'latin1');
  writeFileSync(path('caf\xe9.pem'), 'untracked');
  writeFileSync(path('caf\xe8.pem'), 'tracked');
  writeFileSync(path('caf\xc3\xa9 "\n.pem'), 'in UTF-8');
  git('add', 'caf?.pem');
  git('reset', '--quiet', '--', 'caf*9.pem');
  assert.equal(
    (await contents(folder)).sort(),
    ['a: clean', 'café "\n.pem: in UTF-8', 'caf\\xe8.pem: tracked', 'caf\\xe9.pem: untracked'].sort(),
  );
});

test('a link is read as its path; a nested repository is skipped', async ({ folder, git, write }) => {
  symlinkSync('/nowhere', join(folder, 'link'));
  mkdirSync(join(folder, 'inner'));
  git('init', '--quiet', 'inner');
  write('inner/file', 'its own');
  assert.equal(await contents(folder), ['a: clean', 'link -> /nowhere']);
  git('-C', 'inner', 'add', '.');
  git('-C', 'inner', '-c', 'user.name=a', 'commit', '--quiet', '--message', 'a file');
  git('add', '.');
  rmSync(join(folder, 'link'));
  assert.equal(await contents(folder), ['a: clean', 'link (index) -> /nowhere']);
});

test('content that git lacks is a failure', async ({ folder, git, write }) => {
  const id = git('rev-parse', ':a').trim();
  rmSync(join(folder, '.git/objects', id.slice(0, 2), id.slice(2)));
  write('a', 'other');
  assert.is((await failureOf(contents(folder))).what, 'a could not be checked');
});

test('a hook checks what it commits, not the index of another repository', async ({ folder, git, write }) => {
  const seen = join(folder, '.git/seen');
  writeFileSync(
    join(folder, '.git/hooks/pre-commit'),
    `#!/bin/sh\nprintf %s "$GIT_INDEX_FILE" > '${seen}'\ncp "$GIT_INDEX_FILE" '${seen}.lock'\n`,
    { mode: 0o755 },
  );
  write('a', 'committed');
  git('commit', '--quiet', '--message', 'a file', 'a');
  const index = readFileSync(seen, 'utf8');
  const $ = shell(folder);
  assert.is(await indexOfHook($, { GIT_INDEX_FILE: index }), index);
  assert.is(await indexOfHook($, { GIT_INDEX_FILE: '/else/.git/index' }), undefined);
  assert.is(await indexOfHook($, {}), undefined);
  git('reset', '--quiet', 'HEAD~');
  assert.equal(await contents(folder, { GIT_INDEX_FILE: `${seen}.lock` }), ['a: committed']);
});

test('without a repository, the error has git’s reason', async ({ folder }) => {
  rmSync(join(folder, '.git'), { recursive: true });
  const { why, advice } = await failureOf(contents(folder));
  assert.match(why ?? '', /^not a git repository/);
  assert.is(advice, 'run `git status` in a clone of the repository to see more');
});

test.run();
