import { choicesOf, isRequired, specsOf } from '../arguments.ts';
import {
  type AnyTask,
  declared,
  finalisersOf,
  needsOf,
  type Options,
  type OptionValue,
  type TaskInput,
} from '../task.ts';
import { claimName } from '../task-names.ts';
import { describe, type EdgeKind, type GraphView, marksOf, type ViewEdge } from './view.ts';

/**
 * All public tasks and what they need, one node per task whatever its arguments: an edge means that the task has this need
 * for its default arguments, or for one of the choices of those that it requires.
 */
export async function overview(tasks: readonly AnyTask[], options: Options): Promise<GraphView> {
  const nodes = new Set(tasks.filter((task) => !task.private));
  const edges = new Map<string, { from: AnyTask; to: AnyTask; kind: EdgeKind }>();
  const finalisers = new Set<AnyTask>();
  const connect = (from: AnyTask, to: AnyTask, kind: EdgeKind): void => {
    if (from !== to) edges.set(`${from.name} ${to.name} ${kind}`, { from, to, kind });
  };
  // The set grows while it is walked, by the private tasks that are needed.
  const names = new Map<string, AnyTask>();
  for (const task of nodes) {
    claimName(task.name, task, names);
    for (const input of await inputsOf(task, options)) {
      for (const needed of ask(() => needsOf(task, input))) {
        nodes.add(needed.task);
        connect(needed.task, task, 'need');
      }
      for (const finaliser of ask(() => finalisersOf(task, input))) {
        nodes.add(finaliser.task);
        finalisers.add(finaliser.task);
        connect(task, finaliser.task, 'finally');
      }
      const after = ask(() => declared<readonly AnyTask[]>(task.after, input) ?? []);
      for (const earlier of after) if (nodes.has(earlier)) connect(earlier, task, 'after');
    }
  }
  const ids = new Map([...nodes].map((task, index) => [task, `n${index}`]));
  return {
    title: 'all tasks',
    nodes: [...ids].map(([task, id]) => ({
      ...describe(task),
      id,
      label: task.name,
      marks: [...marksOf(task), ...(finalisers.has(task) ? (['finaliser'] as const) : [])],
    })),
    edges: [...edges.values()].map(
      ({ from, to, kind }): ViewEdge => ({ from: ids.get(from) ?? '', to: ids.get(to) ?? '', kind }),
    ),
  };
}

/** Default arguments; of what is required each choice in turn. */
async function inputsOf(task: AnyTask, options: Options): Promise<TaskInput[]> {
  const possible = await Promise.all(
    specsOf(task).map(async ([name, spec]) => {
      const choices = isRequired(spec) ? ((await choicesOf(spec, options)) ?? []) : [];
      const values: OptionValue[] = choices.map((choice) => (spec.variadic ? [choice] : choice));
      return [name, values.length > 0 ? values : [spec.default ?? (spec.variadic ? [] : undefined)]] as const;
    }),
  );
  const count = Math.max(1, ...possible.map(([, values]) => values.length));
  return Array.from({ length: count }, (_, turn) => {
    const args = possible.map(([name, values]) => [name, values[turn % values.length]]);
    return { args: Object.fromEntries(args), options, passThrough: [] };
  });
}

/** A function that cannot do without an argument that nobody gave has nothing to say. */
function ask<Item>(question: () => readonly Item[]): readonly Item[] {
  try {
    return question();
  } catch {
    return [];
  }
}
