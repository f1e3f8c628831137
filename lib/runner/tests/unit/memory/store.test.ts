import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readRecord, removeRecord, writeRecord } from '../../../memory/store.ts';
import { folder, useFolder } from '../../rig/folder.ts';

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

test.run();
