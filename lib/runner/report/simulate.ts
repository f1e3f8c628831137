import type { Measured } from './critical-path.ts';
import { Heap } from './heap.ts';

/** How many workers a report asks about, beside the run's own number. */
export const workerCounts: readonly number[] = [1, 2, 4, 8, 16, Number.POSITIVE_INFINITY];

/**
 * Milliseconds that tasks of these durations take with so many workers (`Infinity` for no limit), by the rules of the real
 * schedule: needs first, of the ready ones that for which most others wait, never two with one mutex, and what runs alone
 * alone. `priorities`: how many wait for each task, by its place in the recorded run. What a task would lose or win because others run beside it is not known, and not in here.
 */
export function simulate(tasks: readonly Measured[], workers: number, priorities: readonly number[]): number {
  const dependents: number[][] = tasks.map(() => []);
  const missing = tasks.map((task) => task.needs.length);
  for (const [place, { needs }] of tasks.entries())
    for (const needed of needs) dependents[needed]?.push(place);
  const priority = (place: number): number => priorities[tasks[place]?.task ?? 0] ?? 0;

  const ready = new Heap<number>((left, right) =>
    priority(left) === priority(right) ? left < right : priority(left) > priority(right),
  );
  const alone: number[] = [];
  const held = new Map<string, number[]>();
  const running = new Heap<{ readonly place: number; readonly endsAt: number }>((left, right) =>
    left.endsAt === right.endsAt ? left.place < right.place : left.endsAt < right.endsAt,
  );
  let now = 0;
  for (const [place, count] of missing.entries()) if (count === 0) enter(place);
  for (;;) {
    startReady();
    const ended = running.pop();
    if (ended === undefined) return now;
    now = ended.endsAt;
    finish(ended.place);
  }

  function enter(place: number): void {
    if (tasks[place]?.alone) alone.push(place);
    else ready.push(place);
  }

  function startReady(): void {
    const first = alone[0];
    if (first !== undefined) {
      if (running.size > 0) return;
      alone.shift();
      start(first);
      return;
    }
    while (running.size < workers) {
      const place = ready.pop();
      if (place === undefined) return;
      const mutex = tasks[place]?.mutex;
      const queue = mutex === undefined ? undefined : held.get(mutex);
      if (queue !== undefined) {
        queue.push(place);
        continue;
      }
      if (mutex !== undefined) held.set(mutex, []);
      start(place);
    }
  }

  function start(place: number): void {
    running.push({ place, endsAt: now + (tasks[place]?.durationMs ?? 0) });
  }

  function finish(place: number): void {
    const mutex = tasks[place]?.mutex;
    if (mutex !== undefined) {
      for (const next of held.get(mutex) ?? []) ready.push(next);
      held.delete(mutex);
    }
    for (const dependent of dependents[place] ?? []) {
      const left = (missing[dependent] ?? 0) - 1;
      missing[dependent] = left;
      if (left === 0) enter(dependent);
    }
  }
}
