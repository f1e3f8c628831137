import { setTimeout } from 'node:timers/promises';

const pollMs = 20;

/** Waits, at most until the signal comes; never rejects. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, signal && { signal }).catch(() => {});
}

/** Asks until the answer is true, at least once; false when it was not within the time. Nothing tells of the end of a grandchild. */
export async function poll(isDone: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  for (const deadline = Date.now() + withinMs; !(await isDone()); await pause(pollMs)) {
    if (Date.now() >= deadline) return false;
  }
  return true;
}

/** For a timer: one of more milliseconds than this goes off at once. */
export function timerMs(milliseconds: number): number {
  return Math.min(milliseconds, 2 ** 31 - 1);
}
