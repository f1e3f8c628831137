import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatDuration, formatSince } from '../../format.ts';

test('durations are short at any length', () => {
  const short = { 0: '0.0s', 440: '0.4s', 9949: '9.9s', 9999: '9.9s', 10000: '10s', 59999: '59s' };
  const long = { 60000: '1m00s', 192000: '3m12s', 3900000: '1h05m' };
  for (const [milliseconds, text] of Object.entries({ ...short, ...long }))
    assert.is(formatDuration(Number(milliseconds)), text);
});

test('a time of another day says which', () => {
  const now = new Date(2031, 4, 2, 13, 5);
  assert.is(formatSince(new Date(2031, 4, 2, 0, 7), now), '00:07');
  assert.is(formatSince(new Date(2031, 4, 1, 23, 7), now), '2031-05-01 23:07');
});

test.run();
