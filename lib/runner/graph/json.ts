import type { GraphView } from './view.ts';

/** The graph for programs: `{title, nodes, edges}`, fields as in `GraphView`. */
export function json({ title, nodes, edges }: GraphView): string {
  return `${JSON.stringify({ title, nodes, edges }, undefined, 2)}\n`;
}
