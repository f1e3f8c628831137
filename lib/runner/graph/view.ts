import { shortPath } from '../call-site.ts';
import type { Graph, TaskNode } from '../node.ts';
import type { AnyTask } from '../task.ts';

/** Properties of a node that every format shows. */
export type Mark = 'requested' | 'private' | 'long-running' | 'finaliser';

export type ViewNode = {
  /** `n0`, `n1`, …: valid in every format. */
  readonly id: string;
  /** As a user would type it: `install-app app1`. */
  readonly label: string;
  readonly task: string;
  readonly group: string;
  readonly description: string;
  readonly marks: readonly Mark[];
  readonly file: string;
  readonly line: number;
};

/** `need`: a need. `after`: only orders tasks of the same run. `finally`: from a task to its finaliser. */
export type EdgeKind = 'need' | 'after' | 'finally';

/** Points from the earlier task to the later one. */
export type ViewEdge = { readonly from: string; readonly to: string; readonly kind: EdgeKind };

/** A graph as all formats draw it. */
export type GraphView = {
  readonly title: string;
  readonly nodes: readonly ViewNode[];
  readonly edges: readonly ViewEdge[];
};

/** A run's graph in its order, including finalisers. */
export function viewOfGraph(graph: Graph): GraphView {
  const ids = new Map(graph.nodes.map((node, index) => [node, `n${index}`]));
  const idOf = (node: TaskNode): string => ids.get(node) ?? '';
  const edges: ViewEdge[] = [];
  const connect = (from: TaskNode, to: TaskNode, kind: EdgeKind): void => {
    edges.push({ from: idOf(from), to: idOf(to), kind });
  };
  for (const node of graph.nodes) {
    const { needs, comesAfter, finalises } = node;
    for (const needed of needs)
      if (!finalises.includes(needed)) connect(needed, node, comesAfter.has(needed) ? 'after' : 'need');
    for (const owner of finalises) if (owner !== node) connect(owner, node, 'finally');
  }
  return {
    title: graph.label,
    nodes: graph.nodes.map((node) => ({
      ...describe(node.task),
      id: idOf(node),
      label: node.label,
      marks: [
        ...(graph.roots.includes(node) ? (['requested'] as const) : []),
        ...marksOf(node.task),
        ...(node.finalises.length > 0 ? (['finaliser'] as const) : []),
      ],
    })),
    edges,
  };
}

/** A task in a view, independent of arguments. */
export function describe(task: AnyTask): Omit<ViewNode, 'id' | 'label' | 'marks'> {
  return {
    task: task.name,
    group: task.group ?? 'tasks',
    description: task.description,
    file: shortPath(task.file),
    line: task.line,
  };
}

/** The marks that a task's declaration implies. */
export function marksOf(task: AnyTask): Mark[] {
  return [
    ...(task.private ? (['private'] as const) : []),
    ...(task.ready === undefined ? [] : (['long-running'] as const)),
  ];
}
