import type { Graph } from '../../node.ts';
import type { AnyTask, TaskContext, TaskDefinition } from '../../task.ts';
import { graphOf, plain } from './graphs.ts';

export type Random = () => number;

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[Math.floor(random() * items.length)] as Item;

/** Calls the trial with so many seeds, or with that of RANDOM_SEED alone. An error says which one it was. */
export async function withSeeds(count: number, trial: (seed: number) => Promise<void>): Promise<void> {
  const { RANDOM_SEED } = process.env;
  const [first, last] = RANDOM_SEED === undefined ? [1, count] : [Number(RANDOM_SEED), Number(RANDOM_SEED)];
  for (let seed = first; seed <= last; seed += 1)
    await trial(seed).catch((error: Error) => {
      error.message += ` (again with RANDOM_SEED=${seed})`;
      throw error;
    });
}

type Plain = Partial<TaskDefinition<Record<never, never>>>;

/** A graph of so many tasks below `top`, and finalisers beside. Each task needs about three of those before it. */
export async function randomGraph(
  random: Random,
  size: number,
  run: (context: TaskContext, name: string) => Promise<void>,
): Promise<Graph> {
  const has = (share: number): boolean => random() < share;
  const some = (from: readonly AnyTask[], few: number): AnyTask[] => {
    const count = from.length === 0 ? 0 : Math.floor(random() * (few + 1));
    return [...new Set(Array.from({ length: count }, () => pick(random, from)))];
  };
  const make = (name: string, more: Plain, isGroup = false): AnyTask =>
    plain(name, {
      commands: () => (isGroup ? [] : ['true']),
      ...(!isGroup && { run: (context) => run(context, name) }),
      ...(has(0.1) && { mutex: `mutex-${Math.floor(random() * 3)}` }),
      ...(has(0.2) && { retries: 1 + Math.floor(random() * 2), retryDelayMs: 0 }),
      ...more,
    });

  const tasks: AnyTask[] = [];
  /** Neither long-running nor in need of one: finalisers can need them. */
  const steady: AnyTask[] = [];
  const helpers: AnyTask[] = [];
  const finalisers: AnyTask[] = [];
  for (let index = 0; index < size; index += 1) {
    const owned: AnyTask[] = [];
    if (has(0.1)) {
      helpers.push(make(`h${index}`, { needs: some(steady, 1) }));
      const own = make(`f${index}`, {
        needs: [...some(helpers, 2), ...some(steady, 1)],
        finally: finalisers.length > 0 && has(0.2) ? [pick(random, finalisers)] : [],
      });
      finalisers.push(own);
      owned.push(own, ...some(finalisers, 1));
    }
    const needs = some(tasks, 5);
    const after = some(tasks, 1);
    const ready = has(0.06);
    const interactive = !ready && has(0.02);
    const more = { needs, after, finally: owned, interactive, ...(ready && { ready: { log: 'up' } }) };
    const made = make(`t${index}`, more, !ready && !interactive && has(0.1));
    tasks.push(made);
    if (!ready && [...needs, ...after].every((needed) => steady.includes(needed))) steady.push(made);
  }
  // As a group it asks for all long-running processes, which then run until a signal comes.
  const top = make('top', { needs: tasks }, has(0.25));
  return graphOf(top);
}
