import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until `check` answers something other than undefined, at first every 20 ms, then up to every 500 ms.
 * Gives undefined when `timeoutMs` milliseconds are over; rejects with what `check` throws or with the signal's reason.
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
