import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileGlobs, existingFolder, findFiles, mayHold } from '../../../memory/files.ts';
import { beginJournal, parseJournal, readLastRun } from '../../../memory/journal.ts';
import { readRecord, removeRecord, writeRecord } from '../../../memory/record.ts';
import { folder, temporaryFolder, useFolder } from '../../rig/folder.ts';

useFolder(test);

test('a reader sees the old or the new value and never a half, whoever writes', async () => {
  const memory = join(folder, 'new');
  const values = ['a', 'b', 'c'].map((letter) => ({ letter, long: letter.repeat(1 << 20) }));
  await writeRecord(memory, 'key', values[0]);
  const write = async (): Promise<void> => {
    for (let round = 0; round < 15; round += 1) await writeRecord(memory, 'key', values[round % 3]);
  };
  let over = false;
  const writing = Promise.all([write(), write()]).finally(() => {
    over = true;
  });
  let reads = 0;
  for (; !over; reads += 1) {
    const value = (await readRecord(memory, 'key')) as (typeof values)[number] | undefined;
    assert.ok(values.some(({ letter, long }) => value?.letter === letter && value.long === long));
  }
  await writing;
  assert.ok(reads > 0);
  assert.is(readdirSync(join(memory, 'fingerprints')).length, 1);
});

test('what cannot be written is thrown, and leaves no draft', async () => {
  const records = join(folder, 'fingerprints');
  await writeRecord(folder, 'key', 1);
  const [name = ''] = readdirSync(records);
  await removeRecord(folder, 'key');
  mkdirSync(join(records, name));
  writeFileSync(join(records, name, 'in the way'), '');
  const error = await writeRecord(folder, 'key', 2).catch((error) => error);
  assert.match(error?.code, /EISDIR|ENOTEMPTY|EEXIST/);
  assert.equal(readdirSync(records), [name]);
});

const request = { name: 'abc', task: 'build', lock: undefined };

test('a line of the journal that was cut off by a kill is left out, a file without a header is none', async () => {
  const journal = await beginJournal(folder, request);
  journal?.note('a', '1');
  journal?.note('b', '2');
  // Lines are written once in a turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  const [name = ''] = readdirSync(join(folder, 'journal'));
  const file = join(folder, 'journal', name);
  const text = readFileSync(file, 'utf8');
  assert.equal([...(parseJournal(text.slice(0, -5))?.done.keys() ?? [])], ['a']);
  for (const damaged of [text.slice(5), '', '\n', 'null\n', '{"version":1,"task":"x"}\n'])
    assert.is(parseJournal(damaged), undefined);
  writeFileSync(file, '');
  assert.is(await readLastRun(folder, request), undefined);
});

/* Files that globs find. */

const root = temporaryFolder();
// A folder whose name is itself a pattern.
const base = join(root, 'a [b] {c}');
const packages = ['packages/one/lib/index.ts', 'packages/one/src/index.ts', 'packages/two/src/index.ts'];
const paths = [
  ...['src/a.ts', 'src/b.js', 'src/.hidden.ts', 'src/deep/er/c.ts', 'src/deep/x\ny.ts', ...packages],
  ...['node_modules/dep/index.ts', '.git/config.ts', '[odd].ts', 'README.md'],
];
for (const path of paths) {
  mkdirSync(dirname(join(base, path)), { recursive: true });
  writeFileSync(join(base, path), path);
}
writeFileSync(join(root, 'outside.ts'), '');
symlinkSync('src', join(base, 'link'));
symlinkSync('..', join(base, 'src/circle'));

const [one, deep] = [packages[1] ?? '', ['src/deep/er/c.ts', 'src/deep/x\ny.ts']];

for (const [globs, ...files] of [
  [['src/*.ts'], 'src/.hidden.ts', 'src/a.ts'],
  [['src/[ab].{ts,js}'], 'src/a.ts', 'src/b.js'],
  [['src/deep/**/*.ts'], ...deep],
  [['./src/deep/**'], ...deep],
  [['{src/a,packages/one/src/index}.ts'], one, 'src/a.ts'],
  [['\\[odd\\].ts'], '[odd].ts'],
  // Without wildcards it is a file, or all of a folder.
  [['src/a.ts'], 'src/a.ts'],
  [['packages/one/'], 'packages/one/lib/index.ts', one],
  [['packages/one', '!packages/one/lib'], one],
  // A leading ! leaves out, wherever it stands, and with one star one level only.
  [['!src/deep/**', 'src/**', '!**/*.js'], 'src/.hidden.ts', 'src/a.ts', 'src/circle'],
  [['packages/**', '!packages/*'], ...packages],
  // .git and node_modules only when a glob names them.
  [['**/{index,config}.ts'], 'packages/one/lib/index.ts', one, 'packages/two/src/index.ts'],
  [['node_modules/*/*.ts'], 'node_modules/dep/index.ts'],
  [['.git/*'], '.git/config.ts'],
  // A link counts itself, and one to a folder is followed where the glob reaches below it.
  [['*', '!*.*'], 'link'],
  [['link/*.js'], 'link/b.js'],
  [['*/*.js'], 'link/b.js', 'src/b.js'],
  [['**/*.js'], 'link/b.js', 'src/b.js'],
  [['**/*.js', '!link/**'], 'src/b.js'],
  // Outside of the folder, and absolute.
  [['../*.ts'], '../outside.ts'],
  [[join(root, '*.ts')], '../outside.ts'],
] as const)
  test(`found by ${globs.join(' ')}`, async () => {
    const found = (await findFiles(compileGlobs(globs, base))).files;
    const names = found.map((file) => relative(base, file));
    assert.equal(names, files);
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

test('looks into no folder that is left out, and for a missing one into the nearest', async () => {
  const globs = compileGlobs(['packages/*/src/*.ts', '!packages/two/**'], base);
  const holds = (path: string): boolean => mayHold(globs, join(base, path));
  assert.ok(['', 'packages', 'packages/one/src/index.ts'].every(holds));
  assert.not(['src', 'packages/two', 'node_modules'].some(holds));
  assert.not(mayHold(compileGlobs(['**'], base), join(base, 'node_modules')));
  const ignored = await findFiles(compileGlobs(['src/**'], base), join(base, 'src/deep'));
  assert.not(ignored.files.some((path) => path.includes('deep')));
  assert.is(await existingFolder(join(base, 'gone/in/here')), base);
});

test.run();
