import { shortPath } from '../call-site.ts';
import type { Graph, TaskNode } from '../node.ts';

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
export function viewOfGraph({ label: title, nodes, roots }: Graph): GraphView {
  const ids = new Map(nodes.map((node, index) => [node, `n${index}`]));
  const idOf = (node: TaskNode): string => ids.get(node) ?? '';
  const edges = nodes.flatMap((node): ViewEdge[] => {
    const { needs, comesAfter, finalises } = node;
    const needed = [...needs].filter((need) => !finalises.has(need));
    const owners = [...finalises].filter((owner) => owner !== node);
    const edge = (from: TaskNode, kind: EdgeKind): ViewEdge => ({ from: idOf(from), to: idOf(node), kind });
    return [
      ...needed.map((need) => edge(need, comesAfter.has(need) ? 'after' : 'need')),
      ...owners.map((owner) => edge(owner, 'finally')),
    ];
  });
  const viewed = nodes.map((node): ViewNode => {
    const { task, label, finalises } = node;
    const marks: readonly (readonly [Mark, boolean | undefined])[] = [
      ['requested', roots.includes(node)],
      ['private', task.private],
      ['long-running', task.ready !== undefined],
      ['finaliser', finalises.size > 0],
    ];
    return {
      task: task.name,
      group: task.group ?? 'tasks',
      description: task.description,
      file: shortPath(task.file),
      line: task.line,
      id: idOf(node),
      label,
      marks: marks.flatMap(([mark, has]) => (has ? [mark] : [])),
    };
  });
  return { title, nodes: viewed, edges };
}
