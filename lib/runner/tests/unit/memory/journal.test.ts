import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { beginJournal, parseJournal, readLastRun } from '../../../memory/journal.ts';
import { folder as memory, useFolder } from '../../rig/folder.ts';

useFolder(test);

const request = (name = 'abc', lock?: string) => ({ name, task: 'build', lock });
const files = (): string[] => readdirSync(join(memory, 'journal')).sort();
const lastFile = (): string => join(memory, 'journal', files().at(-1) ?? '');

async function begin(name = 'abc', lock?: string) {
  const journal = await beginJournal(memory, request(name, lock));
  if (journal === undefined) throw new Error('no journal');
  return journal;
}

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

test('an unwritable journal counts as none', async () => {
  writeFileSync(join(memory, 'file'), '');
  assert.is(await beginJournal(join(memory, 'file'), request()), undefined);
});

test.run();
