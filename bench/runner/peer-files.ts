import type { ShapeTask } from './graph-shape.ts';

/** A graph in the format of one task runner: the text of each file. */
export type PeerFiles = { readonly [file: string]: string };

/** The graph as a Makefile. All targets are phony, so nothing is ever up to date. */
export function makeFiles(graph: readonly ShapeTask[]): PeerFiles {
  const rules = graph.map(
    ({ name, needs, command }) => `${name}: ${needs.join(' ')}\n${command === '' ? '' : `\t@${command}\n`}`,
  );
  return { Makefile: `.PHONY: ${graph.map(({ name }) => name).join(' ')}\n${rules.join('')}` };
}

/** The graph as a justfile, whose dependencies may run in parallel. */
export function justFiles(graph: readonly ShapeTask[]): PeerFiles {
  const recipes = graph.map(({ name, needs, command }) => {
    const attribute = needs.length === 0 ? '' : '[parallel]\n';
    return `${attribute}${name}: ${needs.join(' ')}\n${command === '' ? '' : `  @${command}\n`}`;
  });
  return { justfile: recipes.join('') };
}

/** The graph as a Taskfile; without `sources` and `status` a task always runs. */
export function goTaskFiles(graph: readonly ShapeTask[]): PeerFiles {
  const tasks = graph.map(({ name, needs, command }) => [
    name,
    { deps: needs, cmds: command === '' ? [] : [command] },
  ]);
  // JSON is YAML.
  return { 'Taskfile.yml': JSON.stringify({ version: '3', silent: true, tasks: Object.fromEntries(tasks) }) };
}

/** The graph as scripts of wireit. A script needs a command, a dependency or an input, so an empty one names an input. */
export function wireitFiles(graph: readonly ShapeTask[]): PeerFiles {
  const scripts = Object.fromEntries(graph.map(({ name }) => [name, 'wireit']));
  const wireit = graph.map(({ name, needs, command }) => [
    name,
    {
      ...(needs.length === 0 ? {} : { dependencies: needs }),
      ...(command === '' ? {} : { command }),
      ...(needs.length === 0 && command === '' ? { files: ['package.json'] } : {}),
    },
  ]);
  return {
    'package.json': JSON.stringify({
      name: 'peer',
      private: true,
      scripts,
      wireit: Object.fromEntries(wireit),
    }),
  };
}

/** The graph as tasks of turbo in a repository of one package. Tasks are npm scripts; a task without one does nothing. */
export function turboFiles(graph: readonly ShapeTask[]): PeerFiles {
  const scripts = graph.filter(({ command }) => command !== '').map(({ name, command }) => [name, command]);
  const tasks = graph.map(({ name, needs }) => [name, { dependsOn: needs, cache: false }]);
  const manifest = {
    name: 'peer',
    private: true,
    // turbo requires an npm version; all from this one on start scripts the same way.
    packageManager: 'npm@10.0.0',
    scripts: Object.fromEntries(scripts),
  };
  const lockfile = { name: 'peer', lockfileVersion: 3, requires: true, packages: { '': { name: 'peer' } } };
  return {
    'package.json': JSON.stringify(manifest),
    'package-lock.json': JSON.stringify(lockfile),
    'turbo.json': JSON.stringify({ tasks: Object.fromEntries(tasks) }),
  };
}

/** The graph as targets of one project of nx. */
export function nxFiles(graph: readonly ShapeTask[]): PeerFiles {
  const targets = graph.map(({ name, needs, command }) => [
    name,
    {
      ...(command === '' ? { executor: 'nx:noop' } : { executor: 'nx:run-commands', options: { command } }),
      dependsOn: needs,
      cache: false,
    },
  ]);
  return {
    'package.json': JSON.stringify({ name: 'peer', private: true }),
    'nx.json': JSON.stringify({ analytics: false, neverConnectToCloud: true, useDaemonProcess: false }),
    'project.json': JSON.stringify({ name: 'peer', targets: Object.fromEntries(targets) }),
  };
}
