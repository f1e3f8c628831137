import { textWidth } from '../output/text.ts';
import type { GraphView, Mark, ViewEdge, ViewNode } from '../show-graph.ts';

type Point = { readonly x: number; readonly y: number };
type Box = Point & { readonly width: number };

/** For the monospaced fonts of graph.css at 12 px, which are 0.6 em wide. */
const letterWidth = 7.25;
const padding = 12;
const boxHeight = 26;
const legendHeight = 22;
const columnGap = 56;

const legends: { readonly [Name in Mark]: string } = {
  requested: 'thick border: requested',
  private: 'dashed border: private',
  'long-running': 'round ends: long-running',
  finaliser: 'hexagon: finaliser',
};

/**
 * The graph as an `<svg>` element, dependents to the right. Each node is a `<g data-node="n0">` for scripts; styles
 * come from graph.css.
 */
export async function graphPicture(view: GraphView): Promise<string> {
  const graph = await layOut(view);
  const legend = legendOf(view);
  const width = Math.ceil(Math.max(graph.graph().width ?? 0, textWidth(legend) * letterWidth + 2 * padding));
  const height = Math.ceil(Math.max(graph.graph().height ?? 0, 0) + (legend === '' ? 0 : legendHeight));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-label="${escapeXml(`graph of ${view.title}`)}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ...view.edges.map((edge) => edgeElement(edge, pointsOf(edge, graph))),
    ...view.nodes.map((node) => nodeElement(node, graph.node(node.id))),
    ...(legend === ''
      ? []
      : [`<text class="legend" x="${padding}" y="${height - 8}">${escapeXml(legend)}</text>`]),
    '</svg>',
  ].join('\n');
}

/** In pixels; positions of nodes are their centres. */
async function layOut({ nodes, edges }: GraphView) {
  const { default: dagre } = await import('@dagrejs/dagre');
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({
    rankdir: 'LR',
    ranksep: columnGap,
    nodesep: 10,
    edgesep: 8,
    marginx: padding,
    marginy: padding,
  });
  for (const { id, label } of nodes)
    graph.setNode(id, { width: textWidth(label) * letterWidth + 2 * padding, height: boxHeight });
  for (const { from, to, kind } of edges) graph.setEdge(from, to, {}, kind);
  dagre.layout(graph);
  return graph;
}

/** From the right side of one box to the left side of the other, horizontal within columns with wider boxes. */
function pointsOf({ from, to, kind }: ViewEdge, graph: Awaited<ReturnType<typeof layOut>>): Point[] {
  const [start, end] = [graph.node(from), graph.node(to)];
  // The layout's own end points are anywhere on the borders; its other points are in the middle of gaps.
  const bends = graph.edge(from, to, kind).points.slice(1, -1);
  return [
    { x: start.x + start.width / 2, y: start.y },
    { x: (bends[0]?.x ?? 0) - columnGap / 2, y: start.y },
    ...bends,
    { x: (bends.at(-1)?.x ?? 0) + columnGap / 2, y: end.y },
    { x: end.x - end.width / 2, y: end.y },
  ];
}

/** `&lt;` and so on, for text and attributes; a replacement character for what XML cannot contain. */
export function escapeXml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML 1.0 does not allow
      .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]|\p{Surrogate}/gu, '\uFFFD')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
  );
}

function nodeElement(node: ViewNode, { x, y, width }: Box): string {
  const title = [node.description, ...node.marks, `${node.file}:${node.line}`].join(' · ');
  return [
    `<g class="${['node', ...node.marks].join(' ')}" data-node="${node.id}">`,
    `<title>${escapeXml(title)}</title>`,
    outline(node, { x: x - width / 2, y: y - boxHeight / 2 }, width),
    `<text x="${round(x)}" y="${round(y + 4)}">${escapeXml(node.label)}</text></g>`,
  ].join('');
}

function outline({ marks }: ViewNode, { x, y }: Point, width: number): string {
  const place = [round(x), round(y)] as const;
  if (marks.includes('finaliser')) {
    const [cut, half] = [8, boxHeight / 2];
    return `<path d="M${place[0]} ${round(y + half)}l${cut} ${-half}h${width - 2 * cut}l${cut} ${half}l${-cut} ${half}h${2 * cut - width}z"/>`;
  }
  const radius = marks.includes('long-running') ? boxHeight / 2 : 3;
  return `<rect x="${place[0]}" y="${place[1]}" width="${width}" height="${boxHeight}" rx="${radius}"/>`;
}

/** A curve that is horizontal at each point. */
function edgeElement({ kind, from, to }: ViewEdge, [first, ...rest]: readonly Point[]): string {
  if (first === undefined) return '';
  let before = first;
  const curves = rest.map((point) => {
    const middle = round((before.x + point.x) / 2);
    const curve = `C${middle} ${round(before.y)} ${middle} ${round(point.y)} ${round(point.x)} ${round(point.y)}`;
    before = point;
    return curve;
  });
  return `<path class="edge ${kind}" data-from="${from}" data-to="${to}" marker-end="url(#arrow)" d="M${round(first.x)} ${round(first.y)}${curves.join('')}"/>`;
}

/** Lists only kinds that the graph has. */
function legendOf({ nodes, edges }: GraphView): string {
  const marks = (Object.keys(legends) as Mark[]).filter((mark) =>
    nodes.some((node) => node.marks.includes(mark)),
  );
  const dashed = edges.some(({ kind }) => kind === 'after') ? ['dashed arrow: after, when both run'] : [];
  const dotted = edges.some(({ kind }) => kind === 'finally') ? ['dotted arrow: finally'] : [];
  return [...marks.map((mark) => legends[mark]), ...dashed, ...dotted].join('   ');
}

/** One decimal, the precision of a screen. */
function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
