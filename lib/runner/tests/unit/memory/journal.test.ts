import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Journal, parseJournal, readLastRun } from '../../../memory/journal.ts';
import { pause } from '../../../pause.ts';

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

test('entries are in the file before the next turn, and the last one of a node counts', async () => {
  const journal = await begin();
  journal.note('a', '1');
  journal.note('b', '2');
  journal.note('a', '3');
  await new Promise((resolve) => setImmediate(resolve));
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

test('a run replaces the previous one and records its end', async () => {
  for (const outcome of ['failed', 'done'] as const) {
    const journal = await begin();
    journal.note(outcome, '1');
    journal.end(outcome);
    journal.note('late', '1');
    const run = await readLastRun(memory, request());
    assert.is(run?.outcome, outcome);
    assert.equal([...(run?.done.keys() ?? [])], [outcome]);
  }
  assert.equal(files(), ['abc.jsonl']);
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
  for (const damaged of ['', '\n', 'null\n', '{"version":1,"task":"x"}\n'])
    assert.is(parseJournal(damaged), undefined);
  writeFileSync(lastFile(), '');
  assert.is(await readLastRun(memory, request()), undefined);
});

test('reports a later run with the same lock, but no earlier one and none with another lock', async () => {
  await begin('other', '/lock');
  await pause(2);
  await begin('abc', '/lock');
  await begin('third', '/elsewhere');
  assert.is((await readLastRun(memory, request('abc', '/lock')))?.later, undefined);
  await pause(2);
  await begin('other', '/lock');
  assert.is((await readLastRun(memory, request('abc', '/lock')))?.later?.task, 'build');
  assert.is((await readLastRun(memory, request('abc')))?.later, undefined);
});

test('an unwritable journal counts as none', async () => {
  writeFileSync(join(memory, 'file'), '');
  assert.is(await Journal.begin(join(memory, 'file'), request()), undefined);
});

test.run();
