import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChartName, readYaml, type Tree } from './render.ts';
import { root, run, temporaryFolder } from './tools.ts';

/** Text of a chart's objects, or helm's error. */
export type Rendered = { readonly text: string; readonly error: string | undefined };

/** Copies a chart into one that renders it several times. */
async function copyChart(chart: ChartName, folder: string): Promise<void> {
  await cp(join(root, 'charts', chart), folder, { recursive: true });
  // helm passes the values that all parts share to every part
  const schema = (await readYaml(`charts/${chart}/values.schema.json`)) as { properties: Tree };
  const properties = { ...schema.properties, global: {} };
  await writeFile(join(folder, 'values.schema.json'), JSON.stringify({ ...schema, properties }));
}

/** Texts of `helm template` by the name of the part. */
function textsOf(stdout: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const text of stdout.split(/^---\n(?=# Source: )/m)) {
    const [, name] = /^# Source: whole\/charts\/(part\d+)\//.exec(text) ?? [];
    if (name) texts.set(name, `${texts.get(name) ?? ''}---\n${text.trimEnd()}\n`);
  }
  return texts;
}

/** helm's errors by the name of the part: those of all schemas, or that of one template. */
function errorsOf(stderr: string): [name: string, error: string][] {
  const wrong = [...stderr.matchAll(/^(part\d+):\n((?:[- ].*\n?)+)/gm)];
  if (wrong.length > 0) return wrong.map(([, name = '', error = '']) => [name, error]);
  const [, name] = /whole\/charts\/(part\d+)\//.exec(stderr) ?? [];
  if (name === undefined) throw new Error(stderr);
  return [[name, stderr]];
}

/**
 * Renders charts with complete values by as few calls of helm as possible, since starting it takes ten times as long as
 * rendering: all are parts of one chart, each under a name of its own, which is replaced in what is returned.
 */
export async function renderEach(
  parts: readonly { readonly chart: ChartName; readonly values: Tree }[],
  { release = 'app', namespace = 'here' } = {},
): Promise<Rendered[]> {
  const folder = temporaryFolder();
  const copies = [...new Set(parts.map(({ chart }) => chart))];
  const copyOf = (chart: ChartName) => join(folder, 'charts', chart);
  for (const chart of copies) await copyChart(chart, copyOf(chart));
  const named = parts.map((part, index) => ({ ...part, name: `part${index}` }));
  const args = ['template', release, folder, '--namespace', namespace, '--values', '-'];
  const errors = new Map<string, string>();
  for (;;) {
    const left = named.filter(({ name }) => !errors.has(name));
    for (const chart of copies.filter((one) => !left.some((part) => part.chart === one)))
      await rm(copyOf(chart), { recursive: true, force: true });
    const dependencies = left.map(({ chart, name }) => ({ name: chart, alias: name, version: '>=0.0.0-0' }));
    const whole = { apiVersion: 'v2', name: 'whole', version: '0.0.0', dependencies };
    await writeFile(join(folder, 'Chart.yaml'), JSON.stringify(whole));
    const values = Object.fromEntries(left.map((part) => [part.name, part.values]));
    const { exitCode, stdout, stderr } = await run('helm', args, { stdin: JSON.stringify(values) });
    if (exitCode !== 0) {
      for (const [name, error] of errorsOf(stderr)) errors.set(name, error);
      continue;
    }
    const texts = textsOf(stdout);
    return named.map(({ chart, name }) => ({
      text: (texts.get(name) ?? '').replaceAll(name, chart),
      error: errors.get(name),
    }));
  }
}
