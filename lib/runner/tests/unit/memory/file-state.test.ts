import { chmodSync, mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readStates } from '../../../memory/file-state.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-state-'));
const file = join(folder, 'file');
const later = (): number => Date.now() + 60_000;
test.after(() => rmSync(folder, { recursive: true, force: true }));
test.before.each(() => writeFileSync(file, 'one'));

async function digest(path = file): Promise<string | undefined> {
  return (await readStates([path])).states[path]?.digest;
}

test('the digest is that of the contents and the right to execute, not of times', async () => {
  const one = await digest();
  utimesSync(file, 1, 1);
  assert.is(await digest(), one);
  writeFileSync(file, 'two');
  assert.is.not(await digest(), one);
  writeFileSync(file, 'one');
  assert.is(await digest(), one);
  chmodSync(file, 0o755);
  assert.is.not(await digest(), one);
});

test('large files are read as well, to their end', async () => {
  truncateSync(file, 3 << 20);
  const zeros = await digest();
  writeFileSync(file, 'x', { flag: 'a' });
  assert.is.not(await digest(), zeros);
});

test('a file whose stamp is the same is not read again, any other is', async () => {
  utimesSync(file, 1000, 1000);
  const { states } = await readStates([file], {}, later());
  const stamp = states[file]?.stamp ?? '';
  assert.is.not(stamp, '');
  const known = { [file]: { digest: 'remembered', stamp } };
  assert.is((await readStates([file], known)).states[file]?.digest, 'remembered');
  // Same size, and a time that a tool sets back.
  writeFileSync(file, 'eno');
  utimesSync(file, 1000, 1000);
  assert.is.not((await readStates([file], known)).states[file]?.digest, 'remembered');
});

test('another file by the same name is read', async () => {
  const { states } = await readStates([file], {}, later());
  const known = { [file]: { digest: 'remembered', stamp: states[file]?.stamp ?? '' } };
  writeFileSync(join(folder, 'other'), 'one');
  renameSync(join(folder, 'other'), file);
  assert.is.not((await readStates([file], known)).states[file]?.digest, 'remembered');
});

test('the stamp of a file that was just written is not trusted: its time could stay', async () => {
  assert.is((await readStates([file])).states[file]?.stamp, '');
});

test('what is gone is left out, what cannot be read is told', async () => {
  const { states, unreadable } = await readStates([join(folder, 'gone'), '/proc/self/mem', file]);
  assert.equal(Object.keys(states), [file]);
  assert.is(unreadable[0]?.path, '/proc/self/mem');
  assert.is(unreadable.length, 1);
});

test('a few hundred files, in the order that was asked for', async () => {
  const paths = Array.from({ length: 300 }, (_, index) => join(folder, `many-${index % 7}-${index}`));
  for (const path of paths) writeFileSync(path, path);
  const { states } = await readStates(paths);
  assert.equal(Object.keys(states), paths);
  assert.is(new Set(Object.values(states).map((state) => state.digest)).size, 300);
});

test.run();
