import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError } from '../../../errors.ts';
import { type RunnerSettings, runnerSettings } from '../../../global-options.ts';
import type { AnyTask, Options } from '../../../task.ts';
import { folder as memory, useFolder } from '../../rig/folder.ts';
import { graphOf, plain } from '../../rig/graphs.ts';
import { runInProcess } from '../../rig/in-process-run.ts';
import { refusalOf } from '../../rig/refusal.ts';

/* What runs remember of each other: --resume and tasks that are up to date. */

useFolder(test);

const source = (): string => join(memory, 'source');

/** Runs a task, and returns why each of the graph ran or not. */
async function go(
  requested: AnyTask,
  more: Partial<RunnerSettings> = {},
  passThrough: string[] = [],
  options: Options = {},
): Promise<string[]> {
  const graph = await graphOf(requested, {}, passThrough, options);
  const { events, exitCode } = runInProcess(graph, 1, 'no-new', { memory, explain: true, ...more });
  await exitCode;
  return events.flatMap((event) => ('explanation' in event ? (event.explanation ?? []) : []));
}

const resume = (requested: AnyTask): Promise<string[]> => go(requested, { resume: true });
const fails = (): never => {
  throw new TaskError({ what: 'not yet' });
};
const ok = (name: string, ...needs: AnyTask[]): AnyTask =>
  plain(name, { needs, commands: () => [`: ${name}`] });
const bad = (name: string, ...needs: AnyTask[]): AnyTask => plain(name, { needs, run: fails });
function gated(name: string, times: number, ...needs: AnyTask[]): AnyTask {
  let left = times;
  return plain(name, {
    needs,
    run: () => {
      left -= 1;
      if (left >= 0) fails();
    },
  });
}
const runs = (name: string): string => `${name} runs: the last run did not get it done`;
const done = (name: string): string => `${name} was done by the last run`;

test('what the last run had done is left out, also when that was resumed itself', async () => {
  const [a, b] = [ok('a'), gated('b', 1)];
  const c = gated('c', 1, a, b);
  const d = ok('d', c);
  assert.is((await go(d)).length, 2);
  assert.equal(await resume(d), [done('a'), runs('b'), runs('c')]);
  assert.equal(await resume(d), [done('a'), done('b'), runs('c'), runs('d')]);
});

test('there has to be something to resume', async () => {
  const a = ok('a', ok('b'));
  assert.match((await refusalOf(resume(a))).what, /^nothing to resume: no earlier run of `a` .* is known$/);
  await go(a);
  assert.match((await refusalOf(resume(a))).what, /^nothing to resume: the last run of `a`, .*, succeeded$/);
});

test('another task, other words and other options are another request, those of the runner are not', async () => {
  const needed = ok('a');
  const top = plain('top', { needs: [needed], passThrough: true, run: fails });
  await go(top, {}, ['x'], { env: 'here' });
  for (const [words, env] of [
    [[], 'here'],
    [['y'], 'here'],
    [['x'], 'there'],
  ] as const)
    await refusalOf(go(top, { resume: true }, [...words], { env }));
  await refusalOf(resume(bad('other', needed)));
  assert.equal(await go(top, { resume: true }, ['x'], { env: 'here', jobs: 3 }), [done('a'), runs('top')]);
});

test('tasks that were declared differently run again, and so does what needs them', async () => {
  const top = (text: string): AnyTask => bad('top', ok('b', plain('a', { commands: () => [`: ${text}`] })));
  await go(top('one'));
  const first = 'a runs: it was declared differently in the last run';
  assert.equal(await resume(top('two')), [first, 'b runs: a, which it needs, runs again', runs('top')]);
});

test('a task that was begun again and not finished is not done any more', async () => {
  const top = (text: string, more: object = {}): AnyTask =>
    bad('top', plain('b', { needs: [plain('a', { commands: () => [`: ${text}`] })], ...more }));
  await go(top('one'));
  await resume(top('two', { run: fails }));
  assert.equal(await resume(top('two')), [done('a'), runs('b'), runs('top')]);
});

test('what ended with the last run is done again, and what used it is not', async () => {
  const tunnel = plain('tunnel', { run: ({ onRunEnd }) => onRunEnd(() => {}) });
  const server = plain('server', { commands: () => ['echo up; exec sleep 1000'], ready: { log: 'up' } });
  const top = bad('top', ok('fill', tunnel, server));
  await go(top);
  assert.equal(await resume(top), [
    'tunnel runs: what it made went with the last run',
    'server runs: it does not outlast a run',
    done('fill'),
    runs('top'),
  ]);
});

test('a task with inputs is judged by them, not by the journal', async () => {
  writeFileSync(source(), '1');
  const top = bad('top', ok('use', plain('build', { inputs: [source()] })));
  await go(top);
  assert.equal(await resume(top), ['build is up to date: 1 input says so', done('use'), runs('top')]);
  writeFileSync(source(), '2');
  const changed = await resume(top);
  assert.match(changed[0] ?? '', /^build runs: .*source changed$/);
  assert.is(changed[1], 'use runs: build, which it needs, runs again');
});

test('words after -- count; a task that fails is forgotten, one whose input changes meanwhile runs again', async () => {
  writeFileSync(source(), '1');
  let work = (): void => {};
  const build = plain('build', { passThrough: true, inputs: [source()], run: () => work() });
  await go(build);
  assert.equal(await go(build), ['build is up to date: 1 input says so']);
  assert.equal(await go(build, {}, ['x']), ['build runs: its words after `--` changed']);
  work = fails;
  await go(build, { force: true }, ['x']);
  work = () => writeFileSync(source(), 'meanwhile');
  assert.equal(await go(build, {}, ['x']), ['build runs: no earlier success is remembered']);
  work = () => {};
  assert.match((await go(build, {}, ['x']))[0] ?? '', /^build runs: .*source changed$/);
});

test('the summary says how many are up to date, a single task says it of itself, and one that declares nothing remembers nothing', async () => {
  const shown = async (requested: AnyTask): Promise<string> => {
    const more = { memory, output: 'grouped' } as const;
    const { exitCode, stderr } = runInProcess(await graphOf(requested), 1, 'no-new', more);
    assert.is(await exitCode, 0);
    return stderr();
  };
  await shown(ok('plain'));
  assert.equal(readdirSync(memory), []);
  writeFileSync(source(), '1');
  const build = plain('build', { inputs: [source()] });
  await shown(build);
  assert.is(await shown(build), '✓ build is up to date\n');
  const all = await shown(plain('top', { needs: [build], run: () => {} }));
  assert.match(all, /^✓ build is up to date\n✓ top .*\ndone: 2 tasks in .*, 1 up to date\n$/);
});

for (const [one, other] of [
  ['resume', 'force'],
  ['resume', 'watch'],
  ['resume', 'dryRun'],
  ['dryRun', 'watch'],
  ['dryRun', 'explain'],
] as const)
  test(`${one} does not go with ${other}`, () =>
    assert.throws(() => runnerSettings({ jobs: 1, [one]: true, [other]: true }), /exclude each other/));

test('after a signal, a finaliser does not wait for its status command, and runs', async () => {
  let cleaned = false;
  const clean = plain('clean', {
    status: 'true',
    run: () => {
      cleaned = true;
    },
  });
  const stopped = plain('stopped', {
    finally: [clean],
    run: () => stop.begin({ type: 'signal', signal: 'SIGTERM' }),
  });
  const { stop, exitCode, stderr } = runInProcess(await graphOf(stopped), 1, 'no-new', { memory });
  assert.is(await exitCode, 143, stderr());
  assert.ok(cleaned, stderr());
  assert.not.match(stderr(), 'Internal error');
});

test.run();
