import { join } from 'node:path';
import { root } from '../../lib/ground/project.ts';
import { type Row, timeRow } from '../report.ts';
import { type BenchRun, bareNode } from './bench-run.ts';
import { tree } from './graph-shape.ts';
import type { Contender } from './measure.ts';

const rounds = 15;
const launcher = join(root, 'run');
const status = ['status', '--dry-run', '--provider', 'embedded'];
const install = ['install-app', 'app1', '--dry-run', '--provider', 'embedded'];

/** Start-up in processor time, which other load on the machine affects least. */
export async function startRows(run: BenchRun): Promise<Row[]> {
  const commands: readonly (readonly [name: string, command: Contender['command'], limit: number])[] = [
    ['./run list', [launcher, 'list'], 2.2],
    ['./run --help', [launcher, '--help'], 2.2],
    ['./run __complete inst (a TAB)', [launcher, '__complete', 'inst'], 2.2],
    ['./run status --dry-run', [launcher, ...status], 2.2],
    ['./run install-app app1 --dry-run', [launcher, ...install], 5.5],
    ['50 tasks that do nothing', run.graph('t0'), 3],
  ];
  const asked = commands.map(([name, command, limit]) => ({
    limit,
    contender: { name, command, env: { BENCH_TASKS: '50' } },
  }));
  const times = await run.compare(
    'start-up',
    [bareNode, ...asked.map(({ contender }) => contender)],
    rounds,
    run.measureCpu,
  );
  const own = asked.map(({ contender, limit }) =>
    timeRow(times(contender.name), times(bareNode.name), limit, 'median'),
  );
  return [...own, await sourcesRow(run)];
}

/** The plain way, from the sources. */
async function sourcesRow(run: BenchRun): Promise<Row> {
  const list: Contender = { name: 'npx tsx tasks.ts list', command: ['npx', 'tsx', 'tasks.ts', 'list'] };
  const empty: Contender = {
    name: 'npx tsx, an empty file',
    command: ['npx', 'tsx', join('bench', 'runner', 'programs', 'empty.ts')],
  };
  const times = await run.compare(list.name, [empty, list], rounds, run.measureCpu);
  return timeRow(times(list.name), times(empty.name), 1.6, 'median');
}

/** A graph of ten tasks that do nothing, next to every peer; for information. */
export async function tenTaskRows(run: BenchRun): Promise<Row[]> {
  const own: Contender = {
    name: 'ten tasks that do nothing',
    command: run.graph('t0'),
    env: { BENCH_TASKS: '10' },
  };
  const peers = await Promise.all(run.peers.map((peer) => run.contender(peer, tree(10))));
  const times = await run.compare(own.name, [own, ...peers], rounds);
  return peers.map((peer) => timeRow(times(own.name), times(peer.name), null));
}
