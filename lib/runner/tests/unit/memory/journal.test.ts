import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { begunAgain, Journal, parseJournal, readLastRun } from '../../../memory/journal.ts';

let memory: string;
test.before.each(() => {
  memory = mkdtempSync(join(tmpdir(), 'journal-'));
});
test.after.each(() => rmSync(memory, { recursive: true, force: true }));

const request = (name = 'abc', lock?: string) => ({ name, task: 'build', lock });
const files = (): string[] => readdirSync(join(memory, 'journal')).sort();
const lastFile = (): string => join(memory, 'journal', files().at(-1) ?? '');

async function begin(name = 'abc', lock?: string): Promise<Journal> {
  const journal = await Journal.begin(memory, request(name, lock));
  if (journal === undefined) throw new Error('no journal');
  return journal;
}

test('each entry is in the file as soon as it is noted, and the last one of a node counts', async () => {
  const journal = await begin();
  journal.note('a', '1');
  journal.note('b', '2');
  journal.note('a', '3');
  const run = await readLastRun(memory, request());
  assert.equal(
    [...(run?.done ?? [])],
    [
      ['a', '3'],
      ['b', '2'],
    ],
  );
  assert.is(run?.outcome, undefined);
  assert.is(run?.header.pid, process.pid);
});

test('what is carried over is there from the first moment', async () => {
  await Journal.begin(memory, request(), [{ id: 'a', digest: '1' }]);
  assert.is((await readLastRun(memory, request()))?.done.get('a'), '1');
});

test('a good end leaves only that, a failure keeps what was done', async () => {
  for (const outcome of ['failed', 'done'] as const) {
    const journal = await begin();
    journal.note('a'.repeat(1000), '1');
    await journal.end(outcome);
    journal.note('late', '1');
    const run = await readLastRun(memory, request());
    assert.is(run?.outcome, outcome);
    assert.is(run?.done.size, outcome === 'done' ? 0 : 1);
  }
  assert.ok(statSync(lastFile()).size < 300);
});

test('a line that was cut off by a kill is left out, a file without a header is no journal', async () => {
  const journal = await begin();
  journal.note('a', '1');
  journal.note('b', '2');
  // Lines are written once in a turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  const text = readFileSync(lastFile(), 'utf8');
  assert.equal([...(parseJournal(text.slice(0, -5))?.done.keys() ?? [])], ['a']);
  assert.is(parseJournal(text.slice(5)), undefined);
  for (const damaged of ['', '\n', 'null\n', '{"version":2,"task":"x"}\n'])
    assert.is(parseJournal(damaged), undefined);
  writeFileSync(lastFile(), '');
  assert.is(await readLastRun(memory, request()), undefined);
});

test('what is begun again is written at once, with all that was noted before', async () => {
  const journal = await begin();
  journal.note('a', '1');
  journal.note('b', begunAgain);
  const done = parseJournal(readFileSync(lastFile(), 'utf8'))?.done;
  assert.equal(
    [...(done ?? [])],
    [
      ['a', '1'],
      ['b', begunAgain],
    ],
  );
});

test('a later run with the same lock is told, an earlier one and one with another lock are not', async () => {
  await begin('other', '/lock');
  await begin('abc', '/lock');
  await begin('third', '/elsewhere');
  assert.is((await readLastRun(memory, request('abc', '/lock')))?.later, undefined);
  await begin('other', '/lock');
  assert.is((await readLastRun(memory, request('abc', '/lock')))?.later?.task, 'build');
  assert.is((await readLastRun(memory, request('abc')))?.later, undefined);
});

test('three runs of a request are kept, and fifty in all', async () => {
  for (let round = 0; round < 5; round += 1) await (await begin()).end('failed');
  assert.is(files().length, 3);
  for (let round = 0; round < 60; round += 1) await (await begin(`r${round}`)).end('failed');
  assert.is(files().length, 50);
  assert.ok(await readLastRun(memory, request('r59')));
  assert.is(await readLastRun(memory, request('r1')), undefined);
});

test('a journal that cannot be written is none', async () => {
  writeFileSync(join(memory, 'file'), '');
  assert.is(await Journal.begin(join(memory, 'file'), request()), undefined);
});

test.run();
