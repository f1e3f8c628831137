import { choicesOf, isRequired, specsOf } from '../arguments.ts';
import { type AnyTask, declared, needsOf, type Options, type OptionValue, type TaskInput } from '../task.ts';
import { claimName } from '../task-names.ts';
import { type Edge, type EdgeKind, type GraphView, viewOf } from './view.ts';

/**
 * All public tasks and their needs, one node per task: an edge means that the task has this need with its default
 * arguments, or with some choice of a required one.
 */
export async function overview(tasks: readonly AnyTask[], options: Options): Promise<GraphView> {
  const nodes = new Set(tasks.filter((task) => !task.private));
  const edges = new Map<string, Edge<AnyTask>>();
  const finalisers = new Set<AnyTask>();
  const connect = (from: AnyTask, to: AnyTask, kind: EdgeKind): void => {
    if (from !== to) edges.set(`${from.name} ${to.name} ${kind}`, [from, to, kind]);
  };
  // Grows while it is iterated, by needed private tasks.
  const names = new Map<string, AnyTask>();
  for (const task of nodes) {
    claimName(task.name, task, names);
    for (const input of await inputsOf(task, options)) {
      for (const needed of ask(() => needsOf(task, input))) {
        nodes.add(needed.task);
        connect(needed.task, task, 'need');
      }
      for (const finaliser of ask(() => needsOf(task, input, 'finally'))) {
        nodes.add(finaliser.task);
        finalisers.add(finaliser.task);
        connect(task, finaliser.task, 'finally');
      }
      const after = ask(() => declared<readonly AnyTask[]>(task.after, input) ?? []);
      for (const earlier of after) if (nodes.has(earlier)) connect(earlier, task, 'after');
    }
  }
  const marked = { requested: [], finaliser: finalisers };
  return viewOf('all tasks', nodes, [...edges.values()], marked, (task) => ({ task, label: task.name }));
}

/** Default arguments, with each choice of the required ones in turn. */
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

/** Empty if the function fails because a required argument is missing. */
function ask<Item>(question: () => readonly Item[]): readonly Item[] {
  try {
    return question();
  } catch {
    return [];
  }
}
