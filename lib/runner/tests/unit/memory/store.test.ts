import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFingerprint, parseFingerprint } from '../../../memory/fingerprint.ts';
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

test('what is very old goes: values after 90 days, drafts of a killed run after an hour', async () => {
  const memory = join(folder, 'old');
  await new Store(memory, 'x').write('kept', 1);
  await new Store(memory, 'x').write('old', 1);
  const [one = '', two = ''] = readdirSync(join(memory, 'x'));
  writeFileSync(join(memory, 'x', 'a.tmp'), '');
  writeFileSync(join(memory, 'x', 'b.tmp'), '');
  const ago = (days: number): Date => new Date(Date.now() - days * 24 * 3600 * 1000);
  utimesSync(join(memory, 'x', one), ago(89), ago(89));
  utimesSync(join(memory, 'x', two), ago(91), ago(91));
  utimesSync(join(memory, 'x', 'a.tmp'), ago(0.5), ago(0.5));
  await new Store(memory, 'x').write('new', 1);
  const left = readdirSync(join(memory, 'x'));
  assert.is(left.length, 3);
  assert.ok(left.includes(one) && !left.includes(two) && !left.includes('a.tmp') && left.includes('b.tmp'));
});

test('what is read is checked in every field', () => {
  const state = { digest: 'd', stamp: '' };
  const good = makeFingerprint({
    facets: { commands: 'c' },
    inputs: { a: state },
    outputs: { b: state },
    missing: ['x'],
    needs: { n: 'e' },
    generation: 'g',
  });
  assert.equal(parseFingerprint(JSON.parse(JSON.stringify(good))), good);
  const bad: object[] = [{ version: 0 }, { facets: [] }, { facets: { a: 1 } }, { inputs: { a: 'text' } }];
  bad.push(
    { inputs: { a: { digest: 1, stamp: '' } } },
    { outputs: null },
    { missing: 'x' },
    { missing: [1] },
  );
  bad.push({ needs: { n: null } }, { generation: undefined });
  for (const change of bad) {
    assert.is(parseFingerprint({ ...good, ...change }), undefined, JSON.stringify(change));
  }
  for (const other of [undefined, null, 1, 'text', [], { running: 'mark' }])
    assert.is(parseFingerprint(other), undefined);
});

test.run();
