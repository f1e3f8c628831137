import { setTimeout } from 'node:timers/promises';

/** Waits, at most until the signal comes; never rejects. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, signal && { signal }).catch(() => {});
}

/** For a timer: one of more milliseconds than this goes off at once. */
export function timerMs(milliseconds: number): number {
  return Math.min(milliseconds, 2 ** 31 - 1);
}
