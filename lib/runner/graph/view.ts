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
export function viewOfGraph({ label, nodes, roots }: Graph): GraphView {
  const edges = nodes.flatMap((node): Edge<TaskNode>[] => {
    const { needs, comesAfter, finalises } = node;
    const needed = [...needs].filter((need) => !finalises.has(need));
    const owners = [...finalises].filter((owner) => owner !== node);
    return [
      ...needed.map((need) => [need, node, comesAfter.has(need) ? 'after' : 'need'] as const),
      ...owners.map((owner) => [owner, node, 'finally'] as const),
    ];
  });
  const marked = {
    requested: new Set(roots),
    finaliser: nodes.filter(({ finalises }) => finalises.size > 0),
  };
  return viewOf(label, nodes, edges, marked, (node) => node);
}

/** From the earlier to the later one. */
export type Edge<Item> = readonly [from: Item, to: Item, kind: EdgeKind];

/** The view of any items that stand for tasks. */
export function viewOf<Item>(
  title: string,
  items: Iterable<Item>,
  edges: readonly Edge<Item>[],
  marked: { readonly requested: Iterable<Item>; readonly finaliser: Iterable<Item> },
  labelled: (item: Item) => { readonly task: AnyTask; readonly label: string },
): GraphView {
  const ids = new Map([...items].map((item, index) => [item, `n${index}`]));
  const idOf = (item: Item): string => ids.get(item) ?? '';
  const [requested, finalisers] = [new Set(marked.requested), new Set(marked.finaliser)];
  const nodes = [...ids].map(([item, id]) => {
    const { task, label } = labelled(item);
    const marks: readonly (readonly [Mark, boolean | undefined])[] = [
      ['requested', requested.has(item)],
      ['private', task.private],
      ['long-running', task.ready !== undefined],
      ['finaliser', finalisers.has(item)],
    ];
    return {
      task: task.name,
      group: task.group ?? 'tasks',
      description: task.description,
      file: shortPath(task.file),
      line: task.line,
      id,
      label,
      marks: marks.flatMap(([mark, has]) => (has ? [mark] : [])),
    };
  });
  return { title, nodes, edges: edges.map(([from, to, kind]) => ({ from: idOf(from), to: idOf(to), kind })) };
}
