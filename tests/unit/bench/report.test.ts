import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { median, memoryRow, overRow, table, timeRow } from '../../../bench/report.ts';

const measured = (name: string, ...times: number[]) => ({ name, times });

test('the ratio is that of the two minima, or of the two medians', () => {
  const [step, peer] = [measured('step', 300, 200.4, 210), measured('peer', 900, 400.8, 500)];
  const row = timeRow(step, peer, 0.7);
  assert.equal([row.ratio, row.minMs, row.peerMedianMs, row.runs], [0.5, 200, 500, 3]);
  assert.is(timeRow(step, peer, 0.7, 'median').ratio, 0.42);
  assert.is(median([4, 1, 3, 2]), 2.5);
});

test('a limit in extra milliseconds includes its value', () => {
  const within = overRow(measured('graph', 249), measured('empty', 200), 50, 1000);
  const over = overRow(measured('graph', 251), measured('empty', 200), 50, 1000);
  assert.is(within.limit, 1.25);
  assert.ok(within.ratio <= (within.limit ?? 0));
  assert.ok(over.ratio > (over.limit ?? 0));
  assert.is(within.note, '0.049 ms each over it, 0.05 allowed');
});

test('the table marks rows over their limit, and none without a limit', () => {
  const peer = measured('peer', 10);
  const text = table([
    timeRow(measured('slow', 9), peer, 0.7),
    timeRow(measured('fast', 1), peer, 0.7),
    timeRow(measured('known', 1), peer, null),
    memoryRow('memory', [200], 150),
  ]);
  const [, , slow, fast, known, memory] = text.split('\n');
  assert.match(slow ?? '', /\| +0\.90 \| +0\.70 \| OVER +\|$/);
  assert.match(fast ?? '', /\| +0\.10 \| +0\.70 \| within +\|$/);
  assert.match(known ?? '', /\| +0\.10 \| +\| +\|$/);
  assert.match(memory ?? '', /\| 200 MiB \| 150 MiB \| OVER +\|$/);
});

test.run();
