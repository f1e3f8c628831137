import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createStyle } from '../../../output/terminal.ts';
import { timingLines } from '../../../report/timing-lines.ts';
import { ran, recordedRun } from './fixture.ts';

const view = { style: createStyle(false, true), verbose: false, columns: 100 };
const run = recordedRun([
  ran('tool', 0, 100),
  ran('kubernetes', 100, 3200, { needs: [0] }),
  ran('vault', 100, 2100, { needs: [0] }),
  ran('install', 3200, 6500, { needs: [1, 2] }),
  ran('check', 6500, 6900, { needs: [3] }),
]);

test('one line tells the critical path, without steps that hardly count', () => {
  assert.equal(timingLines(run, view), [
    'critical path 6.9s of 6.9s: … → kubernetes 3.1s → install 3.3s → check 0.4s',
  ]);
});

test('with verbose the slowest tasks follow', () => {
  assert.equal(
    timingLines(run, { ...view, verbose: true })[1],
    'slowest: install 3.3s, kubernetes 3.1s, vault 2.0s, check 0.4s, tool 0.1s',
  );
});

test('on a narrow terminal the shortest steps go first, and no line is wider', () => {
  assert.equal(timingLines(run, { ...view, columns: 70 }), [
    'critical path 6.9s of 6.9s: … → kubernetes 3.1s → install 3.3s → …',
  ]);
  assert.equal(timingLines(run, { ...view, columns: 50 }), [
    'critical path 6.9s of 6.9s: … → install 3.3s → …',
  ]);
  for (const columns of [1, 10, 20, 30, 45])
    for (const line of timingLines(run, { ...view, verbose: true, columns }))
      assert.ok(line.length <= columns, `${columns}: ${line}`);
});

test('without Unicode it is plain letters', () => {
  const [line = ''] = timingLines(run, { ...view, style: createStyle(false, false) });
  assert.match(line, '... -> kubernetes 3.1s -> install 3.3s');
});

test('short runs, runs of few tasks and failed ones need no explanation', () => {
  const short = run.tasks.map((task) => ({ ...task, startedAt: 0, endedAt: 100 }));
  assert.equal(timingLines(recordedRun(short), view), []);
  assert.equal(timingLines(recordedRun(run.tasks.slice(0, 3)), view), []);
  assert.equal(timingLines({ ...run, outcome: 'failed' }, view), []);
});

test.run();
