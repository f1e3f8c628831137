import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MissingToolError, type TaskContext } from '@k8s-deployment/runner';
import { root } from '../../lib/ground/project.ts';
import { npmEnvironment } from '../../lib/ground/variables.ts';
import { fillEntry } from '../../lib/tools/cache.ts';
import { getTool } from '../../lib/tools/get-tool.ts';
import type { ToolEntry } from '../../lib/tools/manifest.ts';
import { lastWords, withProgress } from '../../lib/tools/tool-context.ts';
import { rootName, type ShapeTask } from './graph-shape.ts';
import type { Peer } from './measure.ts';

/**
 * Pinned here: make comes with the system, go-task is built from its pinned Go module, the others are in
 * `peers/package.json`.
 */
const goTask: ToolEntry = {
  name: 'go-task',
  for: 'the benchmark',
  version: '3.53.0',
  versionCommand: ['--version'],
  // Another version on PATH would be another benchmark.
  path: false,
  go: { module: join(root, 'bench/peers/go-task'), package: 'github.com/go-task/task/v3/cmd/task' },
  advice: 'see the installation page of go-task',
};

const make: ToolEntry = {
  name: 'make',
  for: 'the benchmark',
  minimum: '4.0.0',
  versionCommand: ['--version'],
  advice: 'such as `apt-get install make`',
};

/** The native program if the npm package is a Node wrapper: the peer without its start-up. */
const programs = {
  just: `rust-just-${process.platform}-${process.arch}/bin/just`,
  wireit: 'wireit/bin/wireit.js',
} as const;

/** A file in the installed folder; the others are relative to it. */
const marker = programs.just;

/**
 * All peers, installed into the user's cache folder if missing. Throws `MissingToolError` (127) with the name of one
 * that could not be installed.
 */
export async function getPeers(context: TaskContext): Promise<Peer[]> {
  const packages = await getPackages(context);
  const { path: makeProgram } = await getTool(make, {}, context);
  const { path: taskProgram } = await getTool(goTask, {}, context);
  const just = join(packages, programs.just);
  const wireit = join(packages, programs.wireit);
  return [
    { name: 'just', file: 'justfile', text: justText, command: [just, '--jobs', '2', rootName] },
    { name: 'make', file: 'Makefile', text: makeText, command: [makeProgram, '-j2', rootName] },
    {
      ...{ name: 'go-task', file: 'Taskfile.yml', text: goTaskText },
      command: [taskProgram, '--concurrency', '2', rootName],
    },
    {
      ...{ name: 'wireit', file: 'package.json', text: wireitText },
      // Without npm, which alone takes longer than our whole run: with the environment that npm would pass.
      command: [process.execPath, wireit],
      env: {
        npm_lifecycle_event: rootName,
        npm_config_user_agent: 'npm/10.0.0',
        WIREIT_CACHE: 'none',
        WIREIT_PARALLEL: '2',
      },
    },
  ];
}

/** `node_modules` with what `peers/package.json` pins, installed once for all clones of the user. */
async function getPackages(context: TaskContext): Promise<string> {
  const source = join(root, 'bench', 'peers');
  const files = ['package.json', 'package-lock.json'];
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(join(source, file)));
  const id = `bench-peers-${hash.digest('hex').slice(0, 12)}`;
  const filled = await fillEntry(id, context, async (folder) => {
    for (const file of files) await copyFile(join(source, file), join(folder, file));
    const $ = context.$({ cwd: folder, env: npmEnvironment(process.env), quiet: true, nothrow: true });
    // Not `npm ci`: it refuses a lockfile without the programs of other platforms, which not every registry has.
    const install = $`npm install --ignore-scripts --no-audit --no-fund --loglevel=error`;
    const all = Object.keys(programs).join(', ');
    const npm = await withProgress(context, `fetching ${all}`, install);
    if (npm.exitCode !== 0) throw missing(all, `npm install: ${lastWords(npm.stderr)}`);
    for (const [name, program] of Object.entries(programs)) {
      if (existsSync(join(folder, 'node_modules', program))) continue;
      throw missing(name, `npm has no ${program} for ${process.platform} on ${process.arch}`);
    }
    return { program: join('node_modules', marker) };
  });
  if ('reason' in filled) throw new Error(filled.reason);
  return filled.program.slice(0, -marker.length - 1);
}

function missing(name: string, why: string): MissingToolError {
  return new MissingToolError({
    what: `${name} could not be installed`,
    why,
    advice: 'make the npm registry reachable; the benchmark compares with all of its peers or with none',
  });
}

/** The graph as a Makefile. All targets are phony, so nothing is ever up to date. */
function makeText(graph: readonly ShapeTask[]): string {
  const rules = graph.map(
    ({ name, needs, command }) => `${name}: ${needs.join(' ')}\n${command === '' ? '' : `\t@${command}\n`}`,
  );
  return `.PHONY: ${graph.map(({ name }) => name).join(' ')}\n${rules.join('')}`;
}

/** The graph as a justfile, whose dependencies may run in parallel. */
function justText(graph: readonly ShapeTask[]): string {
  const recipes = graph.map(({ name, needs, command }) => {
    const attribute = needs.length === 0 ? '' : '[parallel]\n';
    return `${attribute}${name}: ${needs.join(' ')}\n${command === '' ? '' : `  @${command}\n`}`;
  });
  return recipes.join('');
}

/** The graph as a Taskfile; without `sources` and `status` a task always runs. */
function goTaskText(graph: readonly ShapeTask[]): string {
  const tasks = graph.map(({ name, needs, command }) => [
    name,
    { deps: needs, cmds: command === '' ? [] : [command] },
  ]);
  // JSON is YAML.
  return JSON.stringify({ version: '3', silent: true, tasks: Object.fromEntries(tasks) });
}

/**
 * The graph as scripts of wireit. A script needs a command, a dependency or an input, so an empty one names an input.
 */
function wireitText(graph: readonly ShapeTask[]): string {
  const scripts = Object.fromEntries(graph.map(({ name }) => [name, 'wireit']));
  const wireit = graph.map(({ name, needs, command }) => [
    name,
    {
      ...(needs.length === 0 ? {} : { dependencies: needs }),
      ...(command === '' ? {} : { command }),
      ...(needs.length === 0 && command === '' ? { files: ['package.json'] } : {}),
    },
  ]);
  return JSON.stringify({ name: 'peer', private: true, scripts, wireit: Object.fromEntries(wireit) });
}
