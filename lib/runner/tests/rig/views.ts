import type { EdgeKind, GraphView, Mark, ViewEdge, ViewNode } from '../../graph/view.ts';

export function node(id: string, label: string, marks: readonly Mark[] = []): ViewNode {
  return { id, label, task: label, group: 'g', description: `makes ${label}`, marks, file: 'x.ts', line: 3 };
}

export function edge(from: string, to: string, kind: EdgeKind = 'need'): ViewEdge {
  return { from, to, kind };
}

/** Every mark and every kind of edge. */
export const sample: GraphView = {
  title: 'top',
  nodes: [
    node('n0', 'tool helm', ['private']),
    node('n1', 'server', ['long-running']),
    node('n2', 'top', ['requested']),
    node('n3', 'clean-up', ['finaliser']),
  ],
  edges: [edge('n0', 'n1'), edge('n1', 'n2', 'after'), edge('n2', 'n3', 'finally')],
};
