import type { EdgeKind, GraphView, ViewNode } from './view.ts';

const lines: { readonly [Kind in EdgeKind]: string } = {
  need: '',
  after: ' [style=dashed]',
  finally: ' [style=dotted, label="finally"]',
};

/** The graph in Graphviz's language, for `dot -Tpng`, with the same marks as other formats. */
export function dot(view: GraphView): string {
  return [
    `digraph ${quote(view.title)} {`,
    '  rankdir=LR;',
    '  node [shape=box, fontname="monospace", fontsize=11];',
    '  edge [fontname="monospace", fontsize=9];',
    ...view.nodes.map((node) => `  ${node.id} [${attributes(node)}];`),
    ...view.edges.map((edge) => `  ${edge.from} -> ${edge.to}${lines[edge.kind]};`),
    '}',
    '',
  ].join('\n');
}

function attributes({ label, description, marks }: ViewNode): string {
  const style = [
    ...(marks.includes('private') ? ['dashed'] : []),
    ...(marks.includes('long-running') ? ['rounded'] : []),
  ];
  return [
    `label=${quote(label)}`,
    `tooltip=${quote(description)}`,
    ...(style.length > 0 ? [`style="${style.join(',')}"`] : []),
    ...(marks.includes('finaliser') ? ['shape=hexagon'] : []),
    ...(marks.includes('requested') ? ['penwidth=2'] : []),
  ].join(', ');
}

/**
 * A double-quoted string as a label: there a backslash begins an escape such as `\N`, which stands for the node's name,
 * and an ampersand an entity. https://graphviz.org/docs/attr-types/escString/
 */
function quote(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${escaped.replaceAll(/\r?\n/g, '\\n')}"`;
}
