import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { GraphView } from '../show-graph.ts';
import { criticalPath } from './critical-path.ts';
import { escapeXml, graphPicture } from './graph-picture.ts';
import type { RecordedRun } from './recorder.ts';

/** The page's modules, each after those that it needs while loading. */
const modules = ['elements', 'data', 'detail', 'timeline', 'main'];
/** Tasks and arrows; a larger picture is useless, and its layout takes seconds. */
const mostParts = 500;

/**
 * The report of a redacted run as a self-contained page; the nodes of the view are its tasks. Its
 * Content-Security-Policy only allows its own style, script and data, by their hashes.
 */
export async function reportPage(run: RecordedRun, view: GraphView): Promise<string> {
  const [template, style, graphStyle, script] = await Promise.all([
    readPart('page/report.html'),
    readPart('page/report.css'),
    readPart('page/graph.css'),
    pageScript(),
  ]);
  const styles = `${graphStyle}\n${style}`;
  const policy = [
    "default-src 'none'",
    `script-src '${hash(script)}'`,
    `style-src '${hash(styles)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const parts: { readonly [name: string]: string } = {
    policy: `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    title: `<title>${escapeXml(`${run.label}: ${run.outcome}`)}</title>`,
    style: `<style>${styles}</style>`,
    graph:
      view.nodes.length + view.edges.length > mostParts
        ? `<p class="hint">Not drawn: ${view.nodes.length} tasks are too many for a picture.</p>`
        : await graphPicture(view),
    data: `<script type="application/json" id="data">${embeddedJson(pageData(run, view))}</script>`,
    script: `<script type="module">${script}</script>`,
  };
  return template.replace(/<!-- (\w+) -->/g, (_, name: string) => parts[name] ?? '');
}

/**
 * JSON for a script element. With each `<` escaped, no text can end the element or begin a comment.
 * https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
 */
function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** What the page is drawn from. */
export function pageData(run: RecordedRun, view: GraphView) {
  const critical = criticalPath(run.tasks);
  const onPath = new Set(critical.tasks);
  return {
    ...run,
    tasks: run.tasks.map((task, place) => ({
      ...task,
      critical: onPath.has(place),
      node: view.nodes[place]?.id,
    })),
    critical,
  };
}

/**
 * The page's modules joined, since a local page cannot import files. Their imports only name each other and are
 * dropped; no two modules use the same name.
 */
async function pageScript(): Promise<string> {
  const sources = await Promise.all(modules.map((name) => readPart(`page/${name}.js`)));
  return sources.map((source) => source.replace(/^import .*;\n/gm, '').replace(/^export /gm, '')).join('\n');
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

async function readPart(file: string): Promise<string> {
  return await readFile(new URL(file, import.meta.url), 'utf8');
}
