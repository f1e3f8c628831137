import { buildGraph } from '../../graph.ts';
import type { Graph } from '../../node.ts';
import {
  type AnyTask,
  type ArgumentSpecs,
  type ArgumentValues,
  type Options,
  type Task,
  type TaskDefinition,
  task,
} from '../../task.ts';

/** Arguments: a text by its place, and options. */
export const word = { type: 'string', positional: true, description: 'd' } as const;
export const text = { type: 'string', description: 'd' } as const;
export const number = { type: 'number', description: 'd' } as const;
export const flag = { type: 'boolean', description: 'd' } as const;

/** A task that does nothing but what `more` says. */
export function plain<const Specs extends ArgumentSpecs = Record<never, never>>(
  name: string,
  more: Partial<TaskDefinition<Specs>> = {},
): Task<Specs> {
  return task({ name, description: 'd', commands: () => [], ...more }, plain);
}

/** The graph of a run of one task. */
export function graphOf(
  requested: AnyTask,
  args: ArgumentValues = {},
  passThrough: readonly string[] = [],
  options: Options = {},
): Promise<Graph> {
  return buildGraph([{ task: requested, args, passThrough }], options, 'run');
}
