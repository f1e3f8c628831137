import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { median, memoryRow, overRow, table, timeRow } from '../../../bench/report.ts';
import { packed, rootName } from '../../../bench/runner/graph-shape.ts';
import { interleave, timesOf } from '../../../bench/runner/measure.ts';
import { plainShell } from '../../../lib/runner/tests/rig/shell.ts';
import { failureOf } from '../../rig/task-context.ts';

const program = (name: string, ...command: [string, ...string[]]) => ({ name, command });
const measured = (name: string, ...times: number[]) => ({ name, times });

test('contenders take turns after a round to warm up, and each begins a round', async () => {
  const order: string[] = [];
  const times = await interleave([program('a', 'a'), program('b', 'b')], 3, async ({ name }) =>
    order.push(name),
  );
  assert.is(order.join(''), 'ab' + 'ab' + 'ba' + 'ab');
  assert.equal(times, { a: [3, 6, 7], b: [4, 5, 8] });
});

test('a process is measured to its end, and a failing one is an error with its last output', async () => {
  const timed = (...words: Parameters<typeof program>) => timesOf({ $: plainShell() }, program(...words));
  const script = 'sleep 0.2; for i in {1..20000}; do :; done; echo done';
  const { wall, cpu } = await timed('busy', 'bash', '-c', script);
  assert.ok(cpu > 0 && wall >= 200, `${wall} ms, ${cpu} ms of CPU`);
  const failed = await failureOf(timed('peer', 'sh', '-c', 'echo something is wrong; exit 3'));
  assert.match(String(failed), /^TaskError: peer: `sh -c .*` ended with 3: something is wrong$/s);
  const missing = await failureOf(timed('missing', '/no/such/program'));
  assert.match(String(missing), /ended with 127: .*No such file/);
});

const read = (file: string): string =>
  readFileSync(new URL(`../../../bench/peers/${file}`, import.meta.url), 'utf8');

test('peers are pinned exactly, with checksums and without the name of a registry', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  assert.equal(Object.keys(dependencies), ['rust-just', 'wireit']);
  const { '': _, ...packages } = JSON.parse(read('package-lock.json')).packages as {
    [path: string]: { version?: string; integrity?: string; resolved?: string };
  };
  for (const [name, { integrity = '', resolved }] of Object.entries(packages)) {
    assert.match(integrity, /^sha512-/, name);
    assert.is(resolved, undefined, name);
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
  assert.is(graph.filter(({ command }) => command !== '').length / 4, 8);
  const depth = (name: string): number => {
    const found = graph.find((task) => task.name === name);
    assert.ok(found, name);
    return (found.command === '' ? 0 : 1) + Math.max(0, ...found.needs.map(depth));
  };
  assert.is(depth(rootName), 8);
});

test('the ratio is that of the two minima, or of the two medians', () => {
  const [step, peer] = [measured('step', 300, 200.4, 210), measured('peer', 900, 400.8, 500)];
  const row = timeRow(step, peer, 0.7);
  assert.equal([row.ratio, row.minMs, row.peerMedianMs, row.runs], [0.5, 200, 500, 3]);
  assert.is(timeRow(step, peer, 0.7, median).ratio, 0.42);
  assert.is(median(measured('step', 4, 1, 3, 2)), 2.5);
  // A limit in extra milliseconds includes its value.
  const over = (ms: number) => overRow(measured('graph', ms), measured('empty', 200), 50, 1000);
  assert.equal([over(249).limit, over(249).note], [1.25, '0.049 ms each over it, 0.05 allowed']);
  assert.ok(over(249).ratio <= 1.25 && over(251).ratio > 1.25);
});

test('the table marks rows over their limit, and none without a limit', () => {
  const row = (ms: number, limit: number | null) =>
    timeRow(measured('step', ms), measured('peer', 10), limit);
  const text = table([row(9, 0.7), row(1, 0.7), row(1, null), memoryRow('memory', [200], 150)]);
  const ends = ['0.90 | 0.70 | OVER |', '0.10 | 0.70 | within |', '0.10 | | |', '200 MiB | 150 MiB | OVER |'];
  for (const [index, line] of text.replaceAll(/ +/g, ' ').split('\n').slice(2).entries())
    assert.ok(line.endsWith(`| ${ends[index]}`), line);
});

test.run();
