import { checkArguments } from './arguments.ts';
import { shortPath } from './call-site.ts';
import { type Program, parseCommandLine, requestedTasks } from './command-line.ts';
import { buildGraph } from './graph.ts';
import type { Graph, TaskNode } from './node.ts';
import { graphLine, graphTask } from './own-tasks.ts';
import type { TaskNames } from './task-names.ts';

/**
 * The output of `graph <task> [arguments] [, task …] [--format …]`; undefined if the command line does not begin
 * with `graph`, names no task, or asks for help. Expands and checks the graph as for a run, with the options that
 * `resolve` of the configuration returns. Throws UsageError.
 */
export async function showGraph(
  argv: readonly string[],
  known: Program,
  names?: TaskNames,
): Promise<string | undefined> {
  const found = graphLine(argv, known);
  if (found === undefined) return undefined;
  const [words, drawing] = found;
  const line = parseCommandLine(words, drawing, true);
  const { help, version } = line.options;
  // Without a task, its missing argument is an error as of any other task.
  if (help === true || version === true || line.calls.length === 0) return undefined;
  const context = { options: line.options, usage: `${known.program} ${graphTask.name} --help` };
  const { format: chosen, ...given } = await checkArguments(drawing.specs, line.options, context);
  const named = line.calls.map(({ task }) => task);
  const options = (await known.config.resolve?.(given, named)) ?? given;
  const view = viewOfGraph(await buildGraph(requestedTasks(line), options, known.program, names));
  if (chosen === 'dot') return dot(view);
  if (chosen === 'json' || (line.options.format === undefined && given.json === true))
    return `${JSON.stringify(view, undefined, 2)}\n`;
  return mermaid(view);
}

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
      file: shortPath(task.place.file),
      line: task.place.line,
      id: idOf(node),
      label,
      marks: marks.flatMap(([mark, has]) => (has ? [mark] : [])),
    };
  });
  return { title, nodes: viewed, edges };
}

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

const styles: { readonly [Kind in EdgeKind]: string } = {
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
    ...view.edges.map((edge) => `  ${edge.from} -> ${edge.to}${styles[edge.kind]};`),
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
