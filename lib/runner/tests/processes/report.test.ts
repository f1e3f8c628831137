import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, rig, useRig } from '../rig/rig.ts';

useRig(test);

type Line = { readonly stream: string; readonly text: string };
type Task = {
  readonly label: string;
  readonly status: string;
  readonly lane?: number;
  readonly attempts: number;
  readonly because?: number;
  readonly failure?: { readonly what: string; readonly why: string };
  readonly lines: readonly Line[];
};

/** What the page of a report is drawn from. */
function dataOf(page: string) {
  const [, json = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
  const run = JSON.parse(json) as { outcome: string; exitCode: number; jobs: number; tasks: Task[] };
  const of = (label: string) => run.tasks.find((task) => task.label === label) as Task;
  return { ...run, of };
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

test('the report of a run has its tasks, their lanes, attempts and logs', async () => {
  const run = rig.run(
    [
      { name: 'a', commands: [rig.command('a')] },
      { name: 'b', commands: [rig.command('b')], retries: 1, retryDelayMs: 1 },
      { name: 'top', needs: ['a', 'b'], behaviour: 'print' },
    ],
    ['top', '--report', join(folder, 'run.html'), '--jobs', '3'],
  );
  const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
  await a.print('from a\n');
  await b.printError('from b\n');
  await b.exit(3);
  await (await rig.next('b')).exit();
  await a.exit();
  assert.is(await run.exit, 0);
  assert.match(run.stderr, `written: ${join(folder, 'run.html')}\ndone: 3 tasks`);
  const report = dataOf(read('run.html'));
  assert.equal([report.outcome, report.exitCode, report.jobs], ['done', 0, 3]);
  assert.equal(
    ['a', 'b', 'top'].map((label) => [report.of(label).status, report.of(label).attempts]),
    [
      ['done', 1],
      ['done', 2],
      ['done', 1],
    ],
  );
  assert.equal([report.of('a').lane, report.of('b').lane].sort(), [0, 1]);
  const [command, line] = report.of('a').lines;
  assert.is(command?.stream, 'command');
  assert.equal([line?.stream, line?.text], ['stdout', 'from a']);
  assert.ok(report.of('b').lines.some(({ stream, text }) => stream === 'stderr' && text === 'from b'));
  assert.ok(report.of('top').lines.some(({ text }) => text === 'result of top'));
  assert.equal(readdirSync(folder), ['run.html']);
});

test('a failed run is reported too, with the cause and what was left out because of it', async () => {
  const run = rig.run(
    [
      { name: 'bad', commands: [rig.command('bad')] },
      { name: 'top', needs: ['bad'] },
    ],
    ['top', '--report', join(folder, 'run.html'), '--trace', join(folder, 'trace.json')],
  );
  const bad = await rig.next('bad');
  await bad.printError('out of luck\n');
  await bad.exit(7);
  assert.is(await run.exit, 7);
  const report = dataOf(read('run.html'));
  assert.equal([report.outcome, report.exitCode], ['failed', 7]);
  assert.is(report.of('bad').status, 'failed');
  assert.is(report.of('bad').failure?.why, 'out of luck');
  assert.equal([report.of('top').status, report.of('top').because], ['skipped', 0]);
  const slices = JSON.parse(read('trace.json')).traceEvents.filter(({ ph }: { ph: string }) => ph === 'X');
  assert.equal(
    slices.map(({ name, args }: { name: string; args: { status: string } }) => [name, args.status]),
    [['bad', 'failed']],
  );
});

test('an interrupted run is reported too', async () => {
  const run = rig.run(
    [
      { name: 'slow', commands: [rig.command('slow')] },
      { name: 'top', needs: ['slow'] },
    ],
    ['top', '--report', join(folder, 'run.html')],
  );
  const slow = await rig.next('slow');
  run.kill('SIGTERM');
  await slow.ended;
  assert.is(await run.exit, 143);
  const report = dataOf(read('run.html'));
  assert.equal([report.outcome, report.exitCode], ['interrupted', 143]);
  assert.equal([report.of('slow').status, report.of('top').status], ['interrupted', 'skipped']);
});

test('a secret is in neither of the files, not even where it was printed before it was one', async () => {
  const secret = 'correct horse battery';
  const run = rig.run(
    [
      { name: 'early', commands: [rig.command('early')] },
      { name: 'leak', secrets: [secret], commands: [`${rig.command('leak')} '${secret}'`], needs: ['early'] },
    ],
    ['leak', '--report', join(folder, 'run.html'), '--trace', join(folder, 'trace.json')],
  );
  const early = await rig.next('early');
  await early.print(`it is ${secret}\n`);
  await early.exit();
  const leak = await rig.next('leak');
  await leak.printError(`failed: ${secret}\n`);
  await leak.exit(1);
  assert.is(await run.exit, 1);
  assert.match(read('run.html'), 'it is ***');
  assert.match(read('run.html'), 'failed: ***');
  for (const name of ['run.html', 'trace.json']) assert.not.match(read(name), 'horse');
});

test('a file that cannot be written is an error before anything runs', async () => {
  for (const option of ['--report', '--trace']) {
    const run = rig.run(
      [{ name: 'a', commands: [rig.command('a')] }],
      ['a', option, join(folder, 'none', 'run')],
    );
    assert.is(await run.exit, 2);
    assert.is(
      run.stderr,
      [
        `error: cannot write \`${join(folder, 'none', 'run')}\``,
        `  why: there is no folder \`${join(folder, 'none')}\``,
        `  do: give \`${option}\` a file in a folder that you may write to`,
        '',
      ].join('\n'),
    );
  }
  assert.not(rig.hasStarted('a'));
});

test('one file for both is an error before anything runs', async () => {
  const file = join(folder, 'both');
  const run = rig.run(
    [{ name: 'a', commands: [rig.command('a')] }],
    ['a', '--report', file, '--trace', `${folder}/./both`],
  );
  assert.is(await run.exit, 2);
  assert.match(run.stderr, `\`--report\` and \`--trace\` both name \`${file}\``);
  assert.not(rig.hasStarted('a'));
});

test('a report that cannot be written in the end fails a run that went well, and only such a one', async () => {
  for (const [code, expected] of [
    [0, 1],
    [7, 7],
  ] as const) {
    const inner = join(folder, 'inner');
    mkdirSync(inner);
    const run = rig.run(
      [{ name: 'a', commands: [rig.command('a')] }],
      ['a', '--report', join(inner, 'run.html')],
    );
    const a = await rig.next('a');
    rmSync(inner, { recursive: true });
    await a.exit(code);
    assert.is(await run.exit, expected);
    assert.match(run.stderr, `error: cannot write \`${join(inner, 'run.html')}\``);
  }
});

test('a dry run writes no report', async () => {
  writeFileSync(join(folder, 'run.html'), 'old');
  const run = rig.run([{ name: 'a', commands: ['true'] }], ['a', '-n', '--report', join(folder, 'run.html')]);
  assert.is(await run.exit, 0);
  assert.is(read('run.html'), 'old');
});

test.run();
