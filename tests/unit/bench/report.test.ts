import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { median, memoryRow, table, timeRow } from '../../../bench/report.ts';

test('the median of an even number of times lies between the middle two', () => {
  assert.is(median([4, 1, 3, 2]), 2.5);
  assert.is(median([9, 1, 5]), 5);
});

test('the ratio is that of the two minima', () => {
  const row = timeRow('step', [300, 200.4], 'peer', [900, 400.8, 500], 0.7);
  assert.is(row.ratio, 0.5);
  assert.is(row.minMs, 200);
  assert.is(row.peerMedianMs, 500);
});

test('memory is the largest peak', () => {
  assert.is(memoryRow('memory', [100.2, 120.4], 150).ratio, 120);
});

test('the table says what is over its limit', () => {
  const text = table([timeRow('slow', [9], 'peer', [10], 0.7), timeRow('fast', [1], 'peer', [10], 0.7)]);
  const [, slow, fast] = text.split('\n');
  assert.match(slow ?? '', /0\.90 +0\.70 +OVER$/);
  assert.match(fast ?? '', /0\.10 +0\.70 +within$/);
});

test.run();
