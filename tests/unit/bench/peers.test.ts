import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packed, rootName } from '../../../bench/runner/graph-shape.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../../bench/peers/${file}`, import.meta.url), 'utf8');

test('peers are pinned exactly, with checksums and without the name of a registry', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  assert.equal(Object.keys(dependencies), ['rust-just', 'wireit']);
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { version?: string; integrity?: string; resolved?: string }>;
  };
  for (const [name, locked] of Object.entries(packages)) {
    if (name === '') continue;
    assert.match(locked.integrity ?? '', /^sha512-/, name);
    assert.is(locked.resolved, undefined, name);
  }
  for (const [name, version] of Object.entries(dependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.is(packages[`node_modules/${name}`]?.version, version);
  }
  assert.match(read('go-task/go.mod'), /^require github\.com\/go-task\/task\/v3 v\d+\.\d+\.\d+$/m);
  assert.match(read('go-task/go.sum'), 'github.com/go-task/task/v3 v');
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

test.run();
