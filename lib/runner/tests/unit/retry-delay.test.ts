import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { retryDelay } from '../../execute.ts';

test('the wait before another attempt doubles each time', () => {
  assert.equal(
    [1, 2, 3, 4].map((attempt) => retryDelay(undefined, attempt)),
    [1000, 2000, 4000, 8000],
  );
  assert.equal(
    [1, 2, 3].map((attempt) => retryDelay(50, attempt)),
    [50, 100, 200],
  );
  assert.is(retryDelay(0, 5), 0);
});

test('a very long wait does not become none', () => {
  assert.is(retryDelay(1000, 100), 2_147_483_647);
});

test.run();
