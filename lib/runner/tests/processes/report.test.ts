import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordedTask } from '../../report/recorded-run.ts';
import { driven, folder, rig, useRig } from '../rig/rig.ts';

useRig(test);

type Task = RecordedTask & { readonly attempts: number };

/** What the page of a report is drawn from. */
function dataOf(page: string) {
  const [, json = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
  const run = JSON.parse(json) as { outcome: string; exitCode: number; jobs: number; tasks: Task[] };
  const of = (label: string) => run.tasks.find((task) => task.label === label) as Task;
  return { ...run, of };
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

test('the report of a failed run has its tasks, their lanes, attempts, logs and what was left out', async () => {
  const run = rig.run(
    [
      driven('a', { behaviour: 'print' }),
      driven('b', { retries: 1, retryDelayMs: 1 }),
      { name: 'top', needs: ['a', 'b'] },
    ],
    ['top', '--report', join(folder, 'run.html'), '--trace', join(folder, 'trace.json'), '--jobs', '3'],
  );
  const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
  await a.print('from a\n');
  await b.exit(3);
  const again = await rig.next('b');
  await again.printError('out of luck\n');
  await a.exit();
  await run.says('✓ a ');
  await again.exit(7);
  assert.is(await run.exit, 7);
  assert.match(
    run.stderr,
    `written: ${join(folder, 'run.html')}, ${join(folder, 'trace.json')}\nfailed after`,
  );
  const report = dataOf(read('run.html'));
  assert.equal([report.outcome, report.exitCode, report.jobs], ['failed', 7, 3]);
  assert.equal(
    ['a', 'b', 'top'].map((label) => [report.of(label).status, report.of(label).attempts]),
    [
      ['done', 1],
      ['failed', 2],
      ['skipped', 1],
    ],
  );
  assert.equal([report.of('a').lane, report.of('b').lane].sort(), [0, 1]);
  const [command, line, result] = report.of('a').lines;
  assert.is(command?.stream, 'command');
  assert.equal([line?.stream, line?.text, result?.text], ['stdout', 'from a', 'result of a']);
  assert.is(report.of('b').failure?.why, 'out of luck');
  const names = JSON.parse(read('trace.json')).traceEvents.map(({ name }: { name: string }) => name);
  assert.ok(names.includes('a') && names.includes('b'));
  assert.equal(readdirSync(folder).sort(), ['run.html', 'trace.json']);
});

test('an interrupted run is reported; a secret is in neither file, not even where it was printed before it was one', async () => {
  const secret = 'correct horse battery';
  const run = rig.run(
    [
      driven('early'),
      { name: 'leak', secrets: [secret], commands: [`${rig.command('leak')} '${secret}'`], needs: ['early'] },
    ],
    ['leak', '--report', join(folder, 'run.html'), '--trace', join(folder, 'trace.json')],
  );
  const early = await rig.next('early');
  await early.print(`it is ${secret}\n`);
  await early.exit();
  const leak = await rig.next('leak');
  await leak.printError(`failed: ${secret}\n`);
  run.kill('SIGTERM');
  assert.is(await run.exit, 143);
  const report = dataOf(read('run.html'));
  assert.equal([report.outcome, report.of('early').status], ['interrupted', 'done']);
  assert.match(read('run.html'), 'it is ***');
  assert.match(read('run.html'), 'failed: ***');
  for (const name of ['run.html', 'trace.json']) assert.not.match(read(name), 'horse');
});

test.run();
