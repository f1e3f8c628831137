import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `check` until it returns something, at first every 20 ms, later every 500 ms. Returns undefined after
 * `timeoutMs` milliseconds; rejects if `check` or the signal does.
 */
export async function poll<Answer>(
  check: () => Promise<Answer | undefined>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 500)) {
    const answer = await check();
    if (answer !== undefined) return answer;
    const leftMs = end - performance.now();
    if (leftMs <= 0) return undefined;
    await delay(Math.min(pauseMs, leftMs), undefined, signal === undefined ? {} : { signal });
  }
}
