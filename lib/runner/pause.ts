import { setTimeout } from 'node:timers/promises';

const pollMs = 20;

/** Waits until the time is over or the signal comes; never rejects. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, signal && { signal }).catch(() => {});
}

/** A promise and the function that resolves it. `Promise.withResolvers` needs Node 22. */
export function deferred<Value>() {
  let resolve: (value: Value | PromiseLike<Value>) => void = () => {};
  const promise = new Promise<Value>((found) => {
    resolve = found;
  });
  return { promise, resolve };
}

/** Polls at least once until the answer is true; false after the time. The end of a grandchild raises no event. */
export async function poll(isDone: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  for (const deadline = Date.now() + withinMs; !(await isDone()); await pause(pollMs)) {
    if (Date.now() >= deadline) return false;
  }
  return true;
}

/** Limits a timer's milliseconds: with more, it fires immediately. */
export function timerMs(milliseconds: number): number {
  return Math.min(milliseconds, 2 ** 31 - 1);
}
