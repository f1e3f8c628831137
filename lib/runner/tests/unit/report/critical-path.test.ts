import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createStyle } from '../../../output/terminal.ts';
import { criticalPath, durationsOf, timingLines } from '../../../report/critical-path.ts';
import { plain } from '../../rig/graphs.ts';
import { runInProcess } from '../../rig/in-process-run.ts';
import { graphOf, ran, recordedRun, unstarted } from './fixture.ts';

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

/** What is on stderr of a run of tasks that take 400 ms each by a clock that only they move. */
async function stderrOf(count: number, output: 'plain' | 'json'): Promise<string> {
  let now = 1_700_000_000_000;
  mock.method(Date, 'now', () => now);
  const run = (): void => {
    now += 400;
  };
  const graph = await graphOf(Array.from({ length: count }, (_, place) => plain(`task-${place}`, { run })));
  const { exitCode, stderr } = runInProcess(graph, 1, 'no-new', { output });
  await exitCode.finally(() => mock.reset());
  return stderr();
}

test('a run of more than a second ends with it, before its last line; a shorter one and one for programs do not', async () => {
  const lines = (await stderrOf(4, 'plain')).trimEnd().split('\n');
  assert.equal(lines.slice(-2), ['critical path 0.4s of 1.6s: task-0 0.4s', 'done: 5 tasks in 1.6s']);
  assert.not.match(await stderrOf(2, 'plain'), 'critical path');
  for (const line of (await stderrOf(4, 'json')).trimEnd().split('\n'))
    assert.type(JSON.parse(line), 'object');
});

test.run();
