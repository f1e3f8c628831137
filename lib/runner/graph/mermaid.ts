import type { EdgeKind, GraphView, Mark, ViewNode } from './view.ts';

/** Three hyphens would be a longer arrow. */
const arrows: { readonly [Kind in EdgeKind]: string } = {
  need: '-->',
  after: '-.->',
  finally: '-. finally .->',
};

const looks: { readonly [Name in Mark]: string } = {
  requested: 'stroke-width:3px',
  private: 'stroke-dasharray:4 3',
  'long-running': 'stroke:#0a7d6c',
  finaliser: 'stroke:#a35200',
};

/**
 * The graph as a Mermaid flowchart for READMEs: needs are arrows, `after` is dotted, finalisers are hexagons,
 * long-running tasks have round ends, private ones dashed borders.
 */
export function mermaid(view: GraphView): string {
  const lines = ['flowchart LR'];
  for (const node of view.nodes) lines.push(`  ${node.id}${shape(node)}`);
  for (const edge of view.edges) lines.push(`  ${edge.from} ${arrows[edge.kind]} ${edge.to}`);
  for (const mark of Object.keys(looks) as Mark[]) {
    const marked = view.nodes.filter((node) => node.marks.includes(mark)).map((node) => node.id);
    // A hyphen would end the class name.
    const name = mark.replace('-', '_');
    if (marked.length > 0)
      lines.push(`  classDef ${name} ${looks[mark]}`, `  class ${marked.join(',')} ${name}`);
  }
  return `${lines.join('\n')}\n`;
}

function shape(node: ViewNode): string {
  const label = `"${escapeLabel(node.label)}"`;
  if (node.marks.includes('long-running')) return `([${label}])`;
  return node.marks.includes('finaliser') ? `{{${label}}}` : `[${label}]`;
}

/**
 * Character codes for everything special to Mermaid: quotes, `#35;`, backslash and n, Markdown and HTML.
 * https://mermaid.js.org/syntax/flowchart.html, "Entity codes to escape characters"
 */
function escapeLabel(label: string): string {
  return label.replace(/[^\p{L}\p{N} ,./:=_-]/gu, (character) => `#${character.codePointAt(0)};`);
}
