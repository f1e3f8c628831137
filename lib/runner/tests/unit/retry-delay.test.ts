import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { retryDelay } from '../../execute.ts';

test('the wait before another attempt doubles each time, and a very long one does not become none', () => {
  const delays = (firstMs: number | undefined) =>
    [1, 2, 3, 4, 100].map((attempt) => retryDelay(firstMs, attempt));
  assert.equal(delays(undefined), [1000, 2000, 4000, 8000, 2_147_483_647]);
  assert.equal(delays(50), [50, 100, 200, 400, 2_147_483_647]);
  assert.equal(delays(0), [0, 0, 0, 0, 0]);
});

test.run();
