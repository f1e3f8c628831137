import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packed, rootName, tree } from '../../../bench/runner/graph-shape.ts';
import {
  goTaskFiles,
  justFiles,
  makeFiles,
  nxFiles,
  turboFiles,
  wireitFiles,
} from '../../../bench/runner/peer-files.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../../bench/peers/${file}`, import.meta.url), 'utf8');

test('peers are pinned exactly, with checksums and without the name of a registry', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  assert.equal(Object.keys(dependencies), ['nx', 'rust-just', 'turbo', 'wireit']);
  for (const version of Object.values(dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { version?: string; integrity?: string; resolved?: string }>;
  };
  for (const [name, locked] of Object.entries(packages)) {
    if (name === '') continue;
    assert.match(locked.integrity ?? '', /^sha512-/, name);
    assert.is(locked.resolved, undefined, name);
  }
  for (const [name, version] of Object.entries(dependencies))
    assert.is(packages[`node_modules/${name}`]?.version, version);
  assert.match(read('go-task/go.mod'), /^require github\.com\/go-task\/task\/v3 v\d+\.\d+\.\d+$/m);
  assert.match(read('go-task/go.sum'), 'github.com/go-task/task/v3 v');
});

test('a tree has the requested number of tasks, each below one other', () => {
  for (const size of [1, 10, 50, 1000]) {
    const graph = tree(size, 'true');
    assert.is(graph.length, size);
    const needed = graph.flatMap(({ needs }) => needs);
    assert.is(needed.length, size - 1);
    assert.is(new Set([rootName, ...needed]).size, size);
  }
});

test('the critical path of a packed graph is as long as its work divided by the jobs', () => {
  const graph = packed(4, 8, 'sleep 1');
  const work = graph.filter(({ command }) => command !== '');
  assert.is(work.length / 4, 8);
  const depth = (name: string): number => {
    const found = graph.find((task) => task.name === name);
    if (found === undefined) throw new Error(`no ${name}`);
    return (found.command === '' ? 0 : 1) + Math.max(0, ...found.needs.map(depth));
  };
  assert.is(depth(rootName), 8);
});

/* The same three tasks in the format of each peer; the benchmark checks that they run all. */
const graph = [
  { name: 't0', needs: ['t1', 't2'], command: 'true' },
  { name: 't1', needs: ['t2'], command: 'true' },
  { name: 't2', needs: [], command: 'true' },
];

/** The needs by task that a JSON file says, with where they stand in it. */
function needsIn(text: string | undefined, at: (file: never) => object, field: string): object {
  const tasks = at(JSON.parse(text ?? '{}') as never);
  return Object.fromEntries(
    Object.entries(tasks).map(([name, task]) => [name, (task as { [field: string]: unknown })[field] ?? []]),
  );
}

const expected = { t0: ['t1', 't2'], t1: ['t2'], t2: [] };

test('every peer gets the same needs', () => {
  const lines = (text: string | undefined): string[] => (text ?? '').split('\n');
  for (const rule of ['t0: t1 t2', 't1: t2', 't2: ']) {
    assert.ok(lines(makeFiles(graph).Makefile).includes(rule), `make ${rule}`);
    assert.ok(lines(justFiles(graph).justfile).includes(rule), `just ${rule}`);
  }
  const task = goTaskFiles(graph)['Taskfile.yml'];
  assert.equal(
    needsIn(task, (file: { tasks: object }) => file.tasks, 'deps'),
    expected,
  );
  const wireit = wireitFiles(graph)['package.json'];
  assert.equal(
    needsIn(wireit, (file: { wireit: object }) => file.wireit, 'dependencies'),
    expected,
  );
  const turbo = turboFiles(graph)['turbo.json'];
  assert.equal(
    needsIn(turbo, (file: { tasks: object }) => file.tasks, 'dependsOn'),
    expected,
  );
  const nx = nxFiles(graph)['project.json'];
  assert.equal(
    needsIn(nx, (file: { targets: object }) => file.targets, 'dependsOn'),
    expected,
  );
});

test.run();
