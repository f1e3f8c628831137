import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runnerFolder } from '../folder.ts';
import { boxHeight, type Layout, layOut, type Point } from './layout.ts';
import type { GraphView, Mark, ViewEdge, ViewNode } from './view.ts';

/** Of the monospaced fonts in graph.css at 12 px: all of them are 0.6 em wide. */
const letterWidth = 7.25;
const padding = 12;
const legendHeight = 22;

const legends: { readonly [Name in Mark]: string } = {
  requested: 'thick border: requested',
  private: 'dashed border: private',
  'long-running': 'round ends: long-running',
  finaliser: 'hexagon: finaliser',
};

/** The graph as a picture of its own, in light or dark as the reader's system is. */
export async function svg(view: GraphView): Promise<string> {
  const style = await readFile(join(runnerFolder, 'graph-view', 'graph.css'), 'utf8');
  return `${svgElement(view, `<style>${style}</style>`)}\n`;
}

/**
 * The `<svg>` element; `head` comes first in it. Every node is a `<g data-node="n0">`, so that a page can react to it;
 * without graph.css it is bare.
 */
export function svgElement(view: GraphView, head = ''): string {
  const places = new Map(view.nodes.map((node, place) => [node.id, place]));
  const links = view.edges.map(({ from, to }) => ({ from: places.get(from) ?? 0, to: places.get(to) ?? 0 }));
  const layout = layOut(
    view.nodes.map((node) => letterCount(node.label) * letterWidth + 2 * padding),
    links,
  );
  const legend = legendOf(view);
  const width = Math.ceil(Math.max(layout.width, letterCount(legend) * letterWidth + 2 * padding));
  const height = Math.ceil(layout.height + (legend === '' ? 0 : legendHeight));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-label="${escapeXml(`graph of ${view.title}`)}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    head,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ...view.edges.map((edge, place) => edgeElement(edge, layout.paths[place] ?? [])),
    ...view.nodes.map((node, place) => nodeElement(node, layout.boxes[place])),
    ...(legend === ''
      ? []
      : [`<text class="legend" x="${padding}" y="${height - 8}">${escapeXml(legend)}</text>`]),
    '</svg>',
  ].join('\n');
}

/** `&lt;` and so on, for text and attributes; what XML cannot hold at all becomes a replacement character. */
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

function nodeElement(node: ViewNode, box: Layout['boxes'][number] | undefined): string {
  const { x, y, width } = box ?? { x: 0, y: 0, width: 0 };
  const title = [node.description, ...node.marks, `${node.file}:${node.line}`].join(' · ');
  return [
    `<g class="${['node', ...node.marks].join(' ')}" data-node="${node.id}">`,
    `<title>${escapeXml(title)}</title>`,
    outline(node, { x: x - width / 2, y: y - boxHeight / 2 }, width),
    `<text x="${x}" y="${y + 4}">${escapeXml(node.label)}</text></g>`,
  ].join('');
}

function outline({ marks }: ViewNode, { x, y }: Point, width: number): string {
  if (marks.includes('finaliser')) {
    const [cut, half] = [8, boxHeight / 2];
    return `<path d="M${x} ${y + half}l${cut} ${-half}h${width - 2 * cut}l${cut} ${half}l${-cut} ${half}h${2 * cut - width}z"/>`;
  }
  const radius = marks.includes('long-running') ? boxHeight / 2 : 3;
  return `<rect x="${x}" y="${y}" width="${width}" height="${boxHeight}" rx="${radius}"/>`;
}

function edgeElement({ kind, from, to }: ViewEdge, points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return '';
  let before = first;
  const curves = rest.map(({ x, y }) => {
    const middle = (before.x + x) / 2;
    const curve = y === before.y ? `H${x}` : `C${middle} ${before.y} ${middle} ${y} ${x} ${y}`;
    before = { x, y };
    return curve;
  });
  return `<path class="edge ${kind}" data-from="${from}" data-to="${to}" marker-end="url(#arrow)" d="M${first.x} ${first.y}${curves.join('')}"/>`;
}

/** Only of what the graph has. */
function legendOf({ nodes, edges }: GraphView): string {
  const marks = (Object.keys(legends) as Mark[]).filter((mark) =>
    nodes.some((node) => node.marks.includes(mark)),
  );
  const dashed = edges.some(({ kind }) => kind === 'after') ? ['dashed arrow: after, when both run'] : [];
  const dotted = edges.some(({ kind }) => kind === 'finally') ? ['dotted arrow: finally'] : [];
  return [...marks.map((mark) => legends[mark]), ...dashed, ...dotted].join('   ');
}

/** Characters, not UTF-16 units; wide ones count twice. */
function letterCount(text: string): number {
  const wide = text.match(
    /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60]/g,
  );
  return [...text].length + (wide?.length ?? 0);
}
