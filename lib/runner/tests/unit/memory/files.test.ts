import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileGlobs, existingFolder, findFiles, mayHold } from '../../../memory/files.ts';
import { temporaryFolder } from '../../rig/folder.ts';

const root = temporaryFolder();
// A folder whose name is itself a pattern.
const folder = join(root, 'a [b] {c}');
const packages = ['packages/one/lib/index.ts', 'packages/one/src/index.ts', 'packages/two/src/index.ts'];
const paths = [
  ...['src/a.ts', 'src/b.js', 'src/.hidden.ts', 'src/deep/er/c.ts', 'src/deep/x\ny.ts', ...packages],
  ...['node_modules/dep/index.ts', '.git/config.ts', '[odd].ts', 'README.md'],
];
for (const path of paths) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), path);
}
writeFileSync(join(root, 'outside.ts'), '');
symlinkSync('src', join(folder, 'link'));
symlinkSync('..', join(folder, 'src/circle'));

async function found(...texts: string[]): Promise<string[]> {
  const { files } = await findFiles(compileGlobs(texts, folder));
  return files.map((file) => relative(folder, file));
}

test('stars, classes, braces and names with a dot or a line break', async () => {
  assert.equal(await found('src/*.ts'), ['src/.hidden.ts', 'src/a.ts']);
  assert.equal(await found('src/[ab].{ts,js}'), ['src/a.ts', 'src/b.js']);
  assert.equal(await found('src/deep/**/*.ts'), ['src/deep/er/c.ts', 'src/deep/x\ny.ts']);
  assert.equal(await found('./src/deep/**'), ['src/deep/er/c.ts', 'src/deep/x\ny.ts']);
  assert.equal(await found('{src/a,packages/one/src/index}.ts'), ['packages/one/src/index.ts', 'src/a.ts']);
  assert.equal(await found('\\[odd\\].ts'), ['[odd].ts']);
});

test('a path without wildcards is a file, or all of a folder', async () => {
  assert.equal(await found('src/a.ts'), ['src/a.ts']);
  assert.equal(await found('packages/one/'), ['packages/one/lib/index.ts', 'packages/one/src/index.ts']);
  assert.equal(await found('packages/one', '!packages/one/lib'), ['packages/one/src/index.ts']);
});

test('a leading ! leaves out, wherever it stands', async () => {
  const left = ['src/.hidden.ts', 'src/a.ts', 'src/circle'];
  assert.equal(await found('!src/deep/**', 'src/**', '!**/*.js'), left);
  // One level only: what lies deeper stays.
  assert.equal(await found('packages/**', '!packages/*'), packages);
});

test('.git and node_modules only when a glob names them', async () => {
  const all = await found('**/*.ts');
  assert.not(all.some((path) => /^(\.git|node_modules)/.test(path)));
  assert.equal(await found('node_modules/*/*.ts'), ['node_modules/dep/index.ts']);
  assert.equal(await found('.git/*'), ['.git/config.ts']);
});

test('a link counts itself, and one to a folder is followed where the glob reaches below it', async () => {
  assert.equal(await found('*', '!*.*'), ['link']);
  assert.equal(await found('link/*.js'), ['link/b.js']);
  assert.equal(await found('*/*.js'), ['link/b.js', 'src/b.js']);
  assert.equal(await found('**/*.js'), ['link/b.js', 'src/b.js']);
  assert.equal(await found('**/*.js', '!link/**'), ['src/b.js']);
});

test('links are followed once around, out of the folder too, and nowhere else', async () => {
  const place = (...names: string[]): string => join(root, 'links', ...names);
  for (const name of ['in/a', 'in/b', 'out/deep', 'in/memory']) mkdirSync(place(name), { recursive: true });
  for (const name of ['in/a/1', 'in/b/2', 'out/deep/3', 'in/memory/4']) writeFileSync(place(name), '');
  const links = {
    'in/a/to-b': '../b',
    'in/b/to-a': '../a',
    'in/up': '..',
    'in/self': '.',
    'in/out': '../out',
    'out/back': '../in',
    'in/twice': 'out',
    'in/file': '../out/deep/3',
    'in/gone': 'nowhere/at/all',
    'in/loop': 'loop',
    'in/kept': 'memory',
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, place(name));
  const { files, unreadable } = await findFiles(compileGlobs(['**'], place('in')), place('in/memory'));
  assert.equal(unreadable, []);
  const names = `a/1 a/to-b a/to-b/2 a/to-b/to-a b/2 b/to-a b/to-a/1 b/to-a/to-b file gone kept loop
    out out/back out/deep/3 self twice twice/back twice/deep/3 up`;
  const listed = files.map((file) => relative(place('in'), file));
  assert.equal(listed, names.split(/\s+/));
});

test('outside of the folder, and absolute', async () => {
  for (const glob of ['../*.ts', join(root, '*.ts')]) assert.equal(await found(glob), ['../outside.ts']);
});

test('looks into no folder that is left out', async () => {
  const globs = compileGlobs(['packages/*/src/*.ts', '!packages/two/**'], folder);
  const holds = (path: string): boolean => mayHold(globs, join(folder, path));
  assert.ok(['', 'packages', 'packages/one/src/index.ts'].every(holds));
  assert.not(['src', 'packages/two', 'node_modules'].some(holds));
  assert.not(mayHold(compileGlobs(['**'], folder), join(folder, 'node_modules')));
  const ignored = await findFiles(compileGlobs(['src/**'], folder), join(folder, 'src/deep'));
  assert.not(ignored.files.some((path) => path.includes('deep')));
});

test('tells globs that match nothing, also when everything is left out', async () => {
  const { unmatched } = await findFiles(compileGlobs(['src/*.ts', 'scr/*', 'src/b.js', '!**/*.js'], folder));
  assert.equal(unmatched, ['scr/*', 'src/b.js']);
});

test('tells the nearest folder in which a missing one can appear', async () => {
  assert.is(await existingFolder(join(folder, 'gone/in/here')), folder);
});

test.run();
