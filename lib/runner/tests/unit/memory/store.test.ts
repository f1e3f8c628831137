import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../../memory/store.ts';

const folder = mkdtempSync(join(tmpdir(), 'store-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

test('a reader sees the old or the new value and never a half, whoever writes', async () => {
  const memory = join(folder, 'torn');
  const stores = [new Store(memory, 'x'), new Store(memory, 'x')];
  const values = ['a', 'b', 'c'].map((letter) => ({ letter, long: letter.repeat(1 << 20) }));
  await stores[0]?.write('key', values[0]);
  let over = false;
  const writing = Promise.all(
    stores.map(async (store) => {
      for (let round = 0; round < 15; round += 1) await store.write('key', values[round % values.length]);
    }),
  ).then(() => {
    over = true;
  });
  let reads = 0;
  for (; !over; reads += 1) {
    const value = (await stores[0]?.read('key')) as (typeof values)[number] | undefined;
    assert.ok(values.some(({ letter, long }) => value?.letter === letter && value.long === long));
  }
  await writing;
  assert.ok(reads > 0);
  assert.is(readdirSync(join(memory, 'x')).length, 1);
});

test('a new folder is kept out of version control, an existing one is left alone', async () => {
  const made = join(folder, 'deep', 'memory');
  await new Store(made, 'x').write('key', 1);
  assert.is(readFileSync(join(made, '.gitignore'), 'utf8'), '*\n');
  const own = join(folder, 'own');
  mkdirSync(own);
  await new Store(own, 'x').write('key', 1);
  assert.not(existsSync(join(own, '.gitignore')));
});

test('what cannot be written is thrown, and leaves no draft', async () => {
  const memory = join(folder, 'blocked');
  const store = new Store(memory, 'x');
  await store.write('key', 1);
  const [name = ''] = readdirSync(join(memory, 'x'));
  rmSync(join(memory, 'x', name));
  mkdirSync(join(memory, 'x', name));
  writeFileSync(join(memory, 'x', name, 'in the way'), '');
  try {
    await store.write('key', 2);
    assert.unreachable();
  } catch (error) {
    assert.match((error as NodeJS.ErrnoException).code ?? '', /EISDIR|ENOTEMPTY|EEXIST/);
  }
  assert.equal(readdirSync(join(memory, 'x')), [name]);
});

test.run();
