import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { TaskContext } from '@k8s-deployment/runner';
import { root } from '../../lib/ground/project.ts';
import { median, overRow, type Row, timeRow } from '../report.ts';
import { tree } from './graph-shape.ts';
import { type BenchRun, bareNode, type Contender, checkPeer, openBenchRun, programs } from './measure.ts';
import { getPeers } from './peers.ts';

/** The parts of the runner's benchmark, in order; each has the machine to itself. */
const parts = {
  start: startRows,
  'no-op': noOpRows,
  commands: commandRows,
  'wall-time': wallTimeRows,
} as const;

type RunnerPart = keyof typeof parts;

/**
 * Rows of the runner's benchmark, all or one part. Throws `MissingToolError` for a peer that could not be installed,
 * `TaskError` when something fails.
 */
export async function runnerRows(context: TaskContext, part?: RunnerPart): Promise<Row[]> {
  const run = await openBenchRun(context);
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(parts))
    if (part === undefined || part === name) rows.push(...(await measure(run)));
  return rows;
}

/** Start-up in processor time, which other load on the machine affects least. */
async function startRows(run: BenchRun): Promise<Row[]> {
  const launcher = join(root, 'run');
  const dry = ['--dry-run', '--provider', 'embedded'];
  const asked: readonly (readonly [name: string, command: Contender['command'], limit: number])[] = [
    ['./run list', [launcher, 'list'], 2.2],
    ['./run --help', [launcher, '--help'], 2.2],
    ['./run __complete inst (a TAB)', [launcher, '__complete', 'inst'], 2.2],
    ['./run status --dry-run', [launcher, 'status', ...dry], 2.2],
    ['./run install-app app1 --dry-run', [launcher, 'install-app', 'app1', ...dry], 5.5],
    ['50 tasks that do nothing', run.graph('t0'), 3],
  ];
  const rounds = 15;
  const contenders = asked.map(([name, command]) => ({ name, command, env: { BENCH_TASKS: '50' } }));
  const times = await run.compare('start-up', [bareNode, ...contenders], rounds, 'cpu');
  // The plain way, from the sources.
  const list: Contender = { name: 'npx tsx tasks.ts list', command: ['npx', 'tsx', 'tasks.ts', 'list'] };
  const file = join('bench', 'runner', 'programs', 'empty.ts');
  const empty: Contender = { name: 'npx tsx, an empty file', command: ['npx', 'tsx', file] };
  const fromSources = await run.compare(list.name, [empty, list], rounds, 'cpu');
  return [
    ...asked.map(([name, , limit]) => timeRow(times(name), times(bareNode.name), limit, median)),
    timeRow(fromSources(list.name), fromSources(empty.name), 1.6, median),
  ];
}

/** Overhead of the runner: graphs of tasks that do nothing, at most 0.1 ms for each task of a large one. */
async function noOpRows(run: BenchRun): Promise<Row[]> {
  const nameOf = (size: number): string => `${size.toLocaleString('en')} tasks that do nothing`;
  const graph = (size: number): Contender => {
    return { name: nameOf(size), command: run.graph('t0'), env: { BENCH_TASKS: String(size) } };
  };
  const contenders = [bareNode, graph(1000), graph(10_000)];
  const times = await run.compare('tasks that do nothing', contenders, 10);
  const empty = times(bareNode.name);
  // Without the start-up time, which does not grow.
  const each = (name: string, size: number) => {
    const over = times(nameOf(size)).times.map((ms) => (ms - Math.min(...empty.times)) / size);
    return { name, times: over };
  };
  return [
    // Mostly the time to load the runner.
    timeRow(times(nameOf(1000)), empty, null),
    overRow(times(nameOf(10_000)), empty, 1000, 10_000),
    // Growth above a few per cent would not be linear; the first thousand also include fixed costs.
    timeRow(each('one task of 10,000', 10_000), each('one task of 1,000', 1000), 1.1),
  ];
}

/** Overhead per command: many short ones, two at a time, next to every peer. */
async function commandRows(run: BenchRun): Promise<Row[]> {
  const installed = await getPeers(run.context);
  for (const peer of installed) await checkPeer(run, peer);
  const [size, command] = [1000, 'true'];
  const own: Contender = {
    name: `${size.toLocaleString('en')} tasks that run \`${command}\``,
    command: run.graph('t0', '--jobs', '2'),
    env: { BENCH_TASKS: String(size), BENCH_COMMAND: command },
  };
  const alone = (name: string, program: string): Contender => ({
    name,
    command: [process.execPath, join(programs, program), String(size), command],
  });
  const zx = alone('zx alone', 'zx-alone.mjs');
  const node = alone('Node alone', 'node-alone.mjs');
  const peers: Contender[] = [];
  for (const peer of installed) peers.push(await run.contender(peer, tree(size, command)));
  const times = await run.compare(own.name, [own, zx, node, ...peers], 5);
  const limits: { readonly [name: string]: number } = { [zx.name]: 1.3, wireit: 1 };
  return [zx, ...peers.toReversed(), node].map(({ name }) =>
    timeRow(times(own.name), times(name), limits[name] ?? null),
  );
}

/**
 * The time of a whole run against the least that any runner could take: the critical path, which here is as long as all
 * work divided by the jobs. Only a runner that puts the critical path first and leaves no gap comes near.
 */
async function wallTimeRows(run: BenchRun): Promise<Row[]> {
  // CPU time, including the start of the command.
  const burn = `${process.execPath} ${join(programs, 'burn.mjs')} 1500`;
  const loads = [
    { what: 'sleeping', command: 'sleep 3', ms: 3000, length: 8, jobs: 4, limit: 1.02 },
    { what: 'on CPU', command: burn, ms: 1500, length: 6, jobs: availableParallelism(), limit: 1.1 },
  ];
  const rows: Row[] = [];
  for (const { what, command, ms, length, jobs, limit } of loads) {
    const own: Contender = {
      name: `${length * jobs} tasks of ${ms / 1000} s ${what}, ${jobs} jobs`,
      command: run.graph('t0', '--jobs', String(jobs)),
      env: { BENCH_TASKS: String(length), BENCH_SLOTS: String(jobs), BENCH_COMMAND: command },
    };
    const times = await run.compare(own.name, [own], 5);
    const least = { name: 'critical path = work / jobs', times: [length * ms] };
    rows.push(timeRow(times(own.name), least, limit, median));
  }
  return rows;
}
