import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunEventBody } from '../../../events.ts';
import { createStyle } from '../../../output/terminal.ts';
import { criticalPath, durationsOf, timingLines } from '../../../report/critical-path.ts';
import { openRecorder, type RecordedTask } from '../../../report/recorder.ts';
import type { AnyTask } from '../../../task.ts';
import { done, failed, node, output, start } from '../../rig/events.ts';
import { graphOf, plain } from '../../rig/graphs.ts';
import { runInProcess } from '../../rig/in-process-run.ts';
import { begin, ran, recordedRun, summary, unstarted } from './fixture.ts';

const a = plain('a');
const b = plain('b');
const c = plain('c', { needs: [a] });

type Timed = readonly [number, RunEventBody];
type Step = (id: string, at: number) => Timed;

const starts: Step = (id, at) => [at, start(id)];
const ends: Step = (id, at) => [at, done(id, 'changed')];
const prints = (id: string, at: number, line: string): Timed => [at, output(id, line)];

/** A run of `top`, which needs these tasks, by events with their milliseconds since its start. */
async function recorded(needs: AnyTask[], events: (ids: (label: string) => string) => Timed[]) {
  const graph = await graphOf(plain('top', { needs }));
  const recorder = openRecorder(graph, { lines: true });
  const nodes = graph.nodes.map(({ id, label }) => ({ ...node(id), label }));
  const timed = events((label) => nodes.find((node) => node.label === label)?.id ?? '');
  for (const [at, event] of [[0, { type: 'run-started', nodes, jobs: 2 }] as const, ...timed])
    recorder.onEvent({ ...event, at: begin + at });
  const run = recorder.recorded();
  const of = (label: string) => run.tasks.find((entry) => entry.label === label) as RecordedTask;
  const all = (get: (task: RecordedTask) => unknown) => ['a', 'b', 'c', 'top'].map((label) => get(of(label)));
  return { run, of, all };
}

test('tasks get their times from the start of the run, and the lanes of workers that were free', async () => {
  const { run, of, all } = await recorded([a, b, c], (id) => [
    ...[starts(id('a'), 10), starts(id('b'), 15), ends(id('a'), 110), starts(id('c'), 130)],
    ...[ends(id('b'), 140), ends(id('c'), 150), starts(id('top'), 150), ends(id('top'), 160)],
    [170, { type: 'run-ended', ...summary, outcome: 'failed', exitCode: 7 }],
  ]);
  const times = all(({ startedAt, endedAt, lane }) => `${startedAt} to ${endedAt} on ${lane}`);
  assert.equal(times, ['10 to 110 on 0', '15 to 140 on 1', '130 to 150 on 0', '150 to 160 on 0']);
  const { tasks: _, ...rest } = run;
  const facts = { label: 'top', startedAt: begin, durationMs: 170, jobs: 2, outcome: 'failed', exitCode: 7 };
  assert.equal(rest, { ...facts, notes: [] });
  assert.is(of('a').report, 'changed');
  assert.equal(of('c').needs, [run.tasks.findIndex(({ label }) => label === 'a')]);
});

test('waiting is the time in which a task could have run: neither its needs nor the lock of the run count', async () => {
  const { all } = await recorded([a, b, c], (id) => [
    ...[starts(id('a'), 5000), starts(id('b'), 5030), ends(id('a'), 5100), ends(id('b'), 5120)],
    ...[starts(id('c'), 5125), ends(id('c'), 5200)],
  ]);
  const waited = all(({ waitedMs }) => waitedMs);
  assert.equal(waited, [0, 30, 25, 0]);
  const { of: again } = await recorded([b, c], (id) => [
    starts(id('b'), 4000),
    [5000, { type: 'task-up-to-date', id: id('a') }],
    starts(id('c'), 5030),
  ]);
  assert.is(again('c').waitedMs, 30);
});

test('records every result of a task with its reason', async () => {
  const failure = { what: 'it broke', exitCode: 3 };
  const { run, of, all } = await recorded([a, b, c], (id) => [
    starts(id('a'), 0),
    starts(id('b'), 0),
    [40, { type: 'task-retried', id: id('a'), attempt: 1, attempts: 2, failure }],
    [90, { ...failed(id('a')), chain: ['top', 'a'] }],
    [90, { type: 'task-skipped', id: id('c'), because: id('a') }],
    [91, { type: 'task-skipped', id: id('top'), because: undefined }],
    [92, { type: 'run-stopping', reason: { type: 'signal', signal: 'SIGTERM' } }],
    [95, { type: 'task-interrupted', id: id('b'), durationMs: 95 }],
    [96, { type: 'cleanup-failed', id: id('b'), failure: { what: 'no broom', exitCode: 1 } }],
    [97, { type: 'run-ended', ...summary, outcome: 'interrupted', exitCode: 143 }],
  ]);
  const states = all(({ status }) => status);
  assert.equal(states, ['failed', 'interrupted', 'skipped', 'skipped']);
  assert.equal([of('a').failure, of('a').chain, of('a').attempts], [failure, ['top', 'a'], 2]);
  assert.equal([of('c').because, of('top').because], [0, undefined]);
  assert.equal(run.notes, [
    { at: 92, text: 'stopping on SIGTERM; once more kills what is still running' },
    { at: 96, text: 'b: cleaning up failed: no broom' },
  ]);
});

test('what still runs at the end of the record counts until then, what never began has no time', async () => {
  const { of } = await recorded([a], (id) => [starts(id('a'), 10), prints(id('a'), 50, 'x')]);
  assert.equal([of('a').status, of('a').startedAt, of('a').endedAt], ['running', 10, 50]);
  assert.equal([of('top').status, of('top').startedAt, of('top').endedAt], ['waiting', undefined, undefined]);
});

test('output, commands and results are kept in their order, without colours', async () => {
  const { of } = await recorded([a], (id) => [
    starts(id('a'), 0),
    [1, { type: 'task-command', id: id('a'), command: 'make it' }],
    prints(id('a'), 2, '\u001B[31mred\u001B[0m\u0007'),
    [3, { type: 'task-output', id: id('a'), stream: 'stderr', line: 'oh' }],
    [4, { type: 'task-result', id: id('a'), text: 'one\ntwo\n' }],
  ]);
  const lines = of('a').lines.map(({ at, stream, text }) => `${at} ${stream} ${text}`);
  assert.equal(lines, ['1 command make it', '2 stdout red', '3 stderr oh', '4 stdout one', '4 stdout two']);
});

test('of a task that prints without end the last 1,000 lines are kept, and of each the beginning', async () => {
  const { of } = await recorded([a], (id) => [
    starts(id('a'), 0),
    ...Array.from({ length: 12_345 }, (_, index) => prints(id('a'), 1, `line ${index}`)),
    prints(id('a'), 2, 'x'.repeat(1_000_000)),
  ]);
  const { lines, dropped } = of('a');
  assert.equal([lines.length, dropped, lines[0]?.text], [1000, 11_346, 'line 11346']);
  assert.is(lines.at(-1)?.text, `${'x'.repeat(2000)} … (1000000 characters)`);
});

test('the critical path is the longest chain of needs, not the chain of most tasks', () => {
  const chain = [
    ...[ran('a', 0, 10), ran('b', 10, 20, { needs: [0] }), ran('c', 20, 30, { needs: [1] })],
    ...[ran('long', 0, 50), ran('d', 50, 55, { needs: [2, 3] }), ran('e', 0, 30)],
  ];
  assert.equal(criticalPath(chain), { tasks: [3, 4], durationMs: 55 });
  assert.equal(criticalPath([]), { tasks: [], durationMs: 0 });
});

test('only what ran is measured, and its places are those of the run', () => {
  const run = [ran('a', 0, 40), { ...ran('b', 0, 0), ...unstarted }, ran('c', 40, 100, { needs: [0, 1] })];
  assert.equal(durationsOf(run), [40, undefined, 60]);
  assert.equal(criticalPath(run).tasks, [0, 2]);
});

test('a long-running task counts until its first dependent could begin', () => {
  const needs = [0];
  const run = [ran('server', 0, 500), ran('test', 30, 480, { needs }), ran('more', 90, 95, { needs })];
  assert.equal(durationsOf(run), [30, 450, 5]);
  assert.equal(criticalPath(run), { tasks: [0, 1], durationMs: 480 });
});

const style = createStyle(false, true);
const run = recordedRun([
  ran('tool', 0, 100),
  ran('kubernetes', 100, 3200, { needs: [0] }),
  ran('vault', 100, 2100, { needs: [0] }),
  ran('install', 3200, 6500, { needs: [1, 2] }),
  ran('check', 6500, 6900, { needs: [3] }),
]);

test('one line tells the critical path, without steps that hardly count, as wide as the terminal, in its letters', () => {
  const head = 'critical path 6.9s of 6.9s: ';
  assert.equal(timingLines(run, style, 100), [`${head}… → kubernetes 3.1s → install 3.3s → check 0.4s`]);
  assert.equal(timingLines(run, style, 50), [`${head}… → kubernetes 3.1s →…`]);
  const [line = ''] = timingLines(run, createStyle(false, false), 100);
  assert.match(line, '... -> kubernetes 3.1s -> install 3.3s');
});

test('short runs, runs of few tasks and failed ones need no explanation', () => {
  const short = run.tasks.map((task) => ({ ...task, startedAt: 0, endedAt: 100 }));
  assert.equal(timingLines(recordedRun(short), style, 100), []);
  assert.equal(timingLines(recordedRun(run.tasks.slice(0, 3)), style, 100), []);
  assert.equal(timingLines({ ...run, outcome: 'failed' }, style, 100), []);
});

/** What is on stderr of a run of four tasks that take 400 ms each by a clock that only they move. */
async function stderrOf(output: 'plain' | 'json'): Promise<string> {
  let now = 1_700_000_000_000;
  mock.method(Date, 'now', () => now);
  const run = (): void => {
    now += 400;
  };
  const needs = Array.from({ length: 4 }, (_, place) => plain(`task-${place}`, { run }));
  const graph = await graphOf(plain('top', { needs }));
  const { exitCode, stderr } = runInProcess(graph, 1, 'no-new', { output });
  await exitCode.finally(() => mock.reset());
  return stderr();
}

test('a run of more than a second ends with it, before its last line; one for programs does not', async () => {
  const lines = (await stderrOf('plain')).trimEnd().split('\n');
  assert.equal(lines.slice(-2), ['critical path 0.4s of 1.6s: task-0 0.4s', 'done: 5 tasks in 1.6s']);
  for (const line of (await stderrOf('json')).trimEnd().split('\n')) assert.type(JSON.parse(line), 'object');
});

test.run();
