import { checkArguments } from '../arguments.ts';
import { shortPath } from '../call-site.ts';
import type { Graph, TaskNode } from '../graph.ts';
import { type AnyTask, type Need, type Needs, needsOf, type TaskInput } from '../task.ts';

/** What is special about a node; every format shows each of them. */
export type Mark = 'requested' | 'private' | 'long-running' | 'finaliser';

export type ViewNode = {
  /** `n0`, `n1`, …: a word in every format. */
  readonly id: string;
  /** As a user would type it: `install-app app1`. */
  readonly label: string;
  /** The task's name. */
  readonly task: string;
  readonly group: string;
  readonly description: string;
  readonly marks: readonly Mark[];
  readonly file: string;
  readonly line: number;
};

/**
 * `need`: a need. `after`: an order that only counts when both are part of the run. `finally`: from a task to its
 * finaliser.
 */
export type EdgeKind = 'need' | 'after' | 'finally';

/** Points from what runs first to what runs after it. */
export type ViewEdge = { readonly from: string; readonly to: string; readonly kind: EdgeKind };

/** A graph as all formats draw it. */
export type GraphView = {
  readonly title: string;
  readonly nodes: readonly ViewNode[];
  readonly edges: readonly ViewEdge[];
};

/** Expands and checks a task with its arguments, as `buildGraph` does. */
export type BuildGraph = (needed: Required<Need>) => Promise<Graph>;

/**
 * The view of a run's graph in its order, finalisers included. Also gives the node of each task node, by its id. Throws
 * UsageError for a finaliser that is declared in a wrong way.
 */
export async function viewOfGraph(
  graph: Graph,
  build: BuildGraph,
): Promise<GraphView & { readonly ids: ReadonlyMap<string, string> }> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const finalisers = new Map<string, Set<string>>();
  // The map grows while it is walked: a finaliser has needs, and may have finalisers of its own.
  for (const node of nodes.values()) {
    for (const needed of finallyOf(node.task, node.input)) {
      const { root, nodes: more } = await build(needed);
      finalisers.set(root.id, (finalisers.get(root.id) ?? new Set()).add(node.id));
      for (const added of more) if (!nodes.has(added.id)) nodes.set(added.id, added);
    }
  }
  const ids = new Map([...nodes.keys()].map((id, index) => [id, `n${index}`]));
  const edges: ViewEdge[] = [];
  const connect = (from: string, to: string, kind: EdgeKind): void => {
    edges.push({ from: ids.get(from) ?? from, to: ids.get(to) ?? to, kind });
  };
  for (const node of nodes.values()) {
    const finalised = finalisers.get(node.id) ?? new Set();
    const isNeed = await declaredNeeds(node);
    for (const needed of node.needs)
      if (!finalised.has(needed.id)) connect(needed.id, node.id, isNeed(needed) ? 'need' : 'after');
    for (const id of finalised) if (id !== node.id) connect(id, node.id, 'finally');
  }
  return {
    title: graph.root.label,
    nodes: [...nodes.values()].map((node) => ({
      ...describe(node.task),
      id: ids.get(node.id) ?? node.id,
      label: node.label,
      marks: [
        ...(node.id === graph.root.id ? (['requested'] as const) : []),
        ...marksOf(node.task),
        ...(finalisers.has(node.id) ? (['finaliser'] as const) : []),
      ],
    })),
    edges,
    ids,
  };
}

/** What a view says of a task, whatever its arguments. */
export function describe(task: AnyTask): Omit<ViewNode, 'id' | 'label' | 'marks'> {
  return {
    task: task.name,
    group: task.group ?? 'tasks',
    description: task.description,
    file: shortPath(task.file),
    line: task.line,
  };
}

/** What is special about a task by itself. */
export function marksOf(task: AnyTask): Mark[] {
  return [
    ...(task.private ? (['private'] as const) : []),
    ...(task.ready === undefined ? [] : (['long-running'] as const)),
  ];
}

/** The finalisers of a task for one input, all in the long form. */
export function finallyOf(task: AnyTask, input: TaskInput): Required<Need>[] {
  const needs: Needs = typeof task.finally === 'function' ? task.finally(input) : (task.finally ?? []);
  return needs.map((entry) => ('task' in entry ? { args: {}, ...entry } : { task: entry, args: {} }));
}

/**
 * What a node needs by itself, as opposed to `after` tasks, which are among its needs too: tells for each of these whether
 * it does.
 */
async function declaredNeeds(node: TaskNode): Promise<(needed: TaskNode) => boolean> {
  const declared = new Map<AnyTask, Set<string>>();
  for (const { task, args } of needsOf(node.task, node.input)) {
    const checked = await checkArguments(task.args ?? {}, args, { options: node.input.options, usage: '' });
    declared.set(task, (declared.get(task) ?? new Set()).add(JSON.stringify(checked)));
  }
  return ({ task, input }) => declared.get(task)?.has(JSON.stringify(input.args)) ?? false;
}
