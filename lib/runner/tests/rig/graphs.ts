import { buildGraph } from '../../graph.ts';
import type { Graph } from '../../node.ts';
import type { EdgeKind, GraphView, Mark, ViewEdge, ViewNode } from '../../show-graph.ts';
import {
  type AnyTask,
  type ArgumentSpecs,
  type ArgumentValues,
  type Options,
  type Task,
  type TaskDefinition,
  task,
} from '../../task.ts';

export const word = { type: 'string', positional: true, description: 'd' } as const;
export const text = { type: 'string', description: 'd' } as const;
export const number = { type: 'number', description: 'd' } as const;
export const flag = { type: 'boolean', description: 'd' } as const;

export function plain<const Specs extends ArgumentSpecs = Record<never, never>>(
  name: string,
  more: Partial<TaskDefinition<Specs>> = {},
): Task<Specs> {
  return task({ name, description: 'd', commands: () => [], ...more }, plain);
}

export function graphOf(
  requested: AnyTask,
  args: ArgumentValues = {},
  passThrough: readonly string[] = [],
  options: Options = {},
): Promise<Graph> {
  return buildGraph([{ task: requested, args, passThrough }], options, 'run');
}

export function node(id: string, label: string, marks: readonly Mark[] = []): ViewNode {
  return { id, label, task: label, group: 'g', description: `makes ${label}`, marks, file: 'x.ts', line: 3 };
}

export function edge(from: string, to: string, kind: EdgeKind = 'need'): ViewEdge {
  return { from, to, kind };
}

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
