import { resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { runnerOptions } from '../global-options.ts';
import type { Graph, TaskNode } from '../node.ts';
import type { CommandOptions } from '../shell.ts';
import type { Options } from '../task.ts';
import { isTracked, neededBy, ownOptions } from './describe-node.ts';
import { carriedOver, type Effect, effectOfFingerprint } from './effects.ts';
import { declaredReason } from './memory.ts';
import { fingerprints } from './open-memory.ts';
import { Store } from './store.ts';
import { Tracker } from './tracker.ts';

export type Prediction = {
  readonly graph: Graph;
  /** The folder for what is remembered. */
  readonly memory: string;
  readonly shell: ((options: Options) => Promise<CommandOptions>) | undefined;
  readonly force: boolean;
};

/**
 * Says for each task of a run that does not take place why it would run or not, one line each. No command is started, so what
 * depends on one (a status command, what a need changes) is told as a condition.
 */
export async function predict({ graph, memory, shell, force }: Prediction): Promise<Map<TaskNode, string>> {
  const { options } = graph;
  const asked = new Set<TaskNode>();
  const folder = resolve(memory);
  const tracker = new Tracker({
    store: new Store(folder, fingerprints),
    options: ownOptions(options, Object.keys(runnerOptions)),
    base: resolve((graph.nodes.some(isTracked) ? (await shell?.(options))?.cwd : undefined) ?? '.'),
    ignored: [folder],
    force,
    askStatus: async (node) => {
      asked.add(node);
      return { good: true };
    },
  });
  const running = new Set<TaskNode>();
  const effects = new Map<TaskNode, Effect>();
  const effectOf = (node: TaskNode): Effect => (running.has(node) ? carriedOver : effects.get(node));
  const lines = new Map<TaskNode, string>();
  for (const node of graph.nodes) lines.set(node, `${node.label} ${await textOf(node)}`);
  return lines;

  async function textOf(node: TaskNode): Promise<string> {
    const first = neededBy(node).find((needed) => running.has(needed));
    if (!isTracked(node)) {
      if (!(await isEmpty(node)) || first !== undefined) running.add(node);
      return `runs: ${declaredReason(node)}`;
    }
    try {
      const look = await tracker.look(node, effectOf);
      const condition = conditionOf(node, first);
      if (look.run || condition !== undefined) running.add(node);
      if (look.run) return `runs: ${look.reason}`;
      if (condition !== undefined) return condition;
      effects.set(node, effectOfFingerprint(node, look.before));
      return `is up to date: ${look.reason}`;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      running.add(node);
      return first === undefined ? `fails: ${error.what}` : `runs after ${first.label}: ${error.what} yet`;
    }
  }

  function conditionOf(node: TaskNode, first: TaskNode | undefined): string | undefined {
    if (first !== undefined && node.task.inputs !== undefined)
      return `runs if ${first.label}, which it needs, changes something`;
    return asked.has(node) ? 'runs unless its status command says that nothing is to be done' : undefined;
  }
}

/** Only stands for its needs. */
async function isEmpty({ task, input }: TaskNode): Promise<boolean> {
  return task.run === undefined && (await task.commands(input)).length === 0;
}
