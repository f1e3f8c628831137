import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../lib/ground/project.ts';
import { pageOf, rowsOf } from '../rig/pages.ts';

/**
 * The rooms of lib/ in docs/architecture.md, from the bottom: a file imports from its own room and those before it.
 * `cluster/providers` is what the clusters are, of which every room knows: of the rooms above it takes types only, and
 * by `import()` what a cluster does.
 */
const rooms = rowsOf(pageOf('docs/architecture.md'))
  .flatMap(([first = '']) => /^\[?`lib\/([\w/]+?)(?:\/|\.ts)`/.exec(first)?.[1] ?? [])
  .reverse();

const isProvider = (path: string): boolean => /^cluster\/(?:providers?|(\w+)\/\1)\.ts$/.test(path);

const roomOf = (path: string): string =>
  isProvider(path) ? 'cluster/providers' : (rooms.find((room) => path.startsWith(`${room}/`)) ?? path);

const lib = join(root, 'lib');
const files = (readdirSync(lib, { recursive: true }) as string[]).filter(
  (path) => path.endsWith('.ts') && !path.startsWith('runner/tests/'),
);

/** Types and what is loaded later, too. */
const anyImport = /\b(?:from|import)\s*\(?\s*'(\.[^']*)'/g;

const loadedBefore = /^(?:import|export) (?!type)(?:[^;']*? from )?'(\.[^']*|@k8s-deployment\/runner)'/gm;

function importsOf(path: string, form = anyImport): string[] {
  const text = readFileSync(join(lib, path), 'utf8');
  const found = text.matchAll(isProvider(path) ? loadedBefore : form);
  return [...found].map(([, to = '']) =>
    to.startsWith('.') ? relative(lib, join(lib, path, '..', to)) : 'runner/runner.ts',
  );
}

test('every file of lib/ is in a room, and imports only from the rooms below it', () => {
  const height = (path: string): number => rooms.indexOf(roomOf(path));
  const upward = files.flatMap((path) =>
    importsOf(path)
      .filter((to) => height(to) < 0 || height(to) > height(path))
      .map((to) => `${path} imports ${to}`),
  );
  assert.equal([...files.filter((path) => height(path) < 0), ...upward], []);
});

test('no circular imports; in the runner not even of types', () => {
  const open: string[] = [];
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string): void => {
    if (open.includes(path)) circles.push([...open.slice(open.indexOf(path)), path].join(' → '));
    if (done.has(path) || open.includes(path)) return;
    open.push(path);
    for (const to of importsOf(path, roomOf(path) === 'runner' ? anyImport : loadedBefore)) visit(to);
    open.pop();
    done.add(path);
  };
  files.forEach(visit);
  assert.equal(circles, []);
});

test('declaring a task loads few modules, because each costs time at every start, and not the code of its run', () => {
  const loaded = new Set(['../tasks/all.ts']);
  for (const path of loaded) for (const to of importsOf(path, loadedBefore)) loaded.add(to);
  assert.ok(loaded.has('runner/task.ts'));
  const own = [...loaded].filter((path) => !path.startsWith('runner/'));
  assert.ok(own.length <= 28, `${own.length}:\n${own.join('\n')}`);
  const light = /^(?:\.\.\/tasks|ground|settings|tools)\/|^cluster\/(?:providers|(\w+)\/\1)\.ts$/;
  assert.equal(
    own.filter((path) => !light.test(path)),
    [],
  );
});

test.run();
