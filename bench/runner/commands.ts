import { join } from 'node:path';
import { type Row, timeRow } from '../report.ts';
import { type BenchRun, checkPeer, programs } from './bench-run.ts';
import { tree } from './graph-shape.ts';
import type { Contender } from './measure.ts';

const rounds = 5;
const size = 1000;
const command = 'true';

/** Rounds of the slowest peers: turbo starts npm for every task. */
const roundsOf: { readonly [peer: string]: number } = { turbo: 1, nx: 2 };

/** Overhead per command: many short ones, two at a time. */
export async function commandRows(run: BenchRun): Promise<Row[]> {
  for (const peer of run.peers) await checkPeer(run, peer);
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
  for (const peer of run.peers) {
    const contender = await run.contender(peer, tree(size, command));
    const few = roundsOf[peer.name];
    peers.push(few === undefined ? contender : { ...contender, rounds: few });
  }
  const times = await run.compare(own.name, [own, zx, node, ...peers], rounds);
  const limits: { readonly [name: string]: number } = { [zx.name]: 1.3, wireit: 1, turbo: 1, nx: 1 };
  const byLimit = [zx, ...peers.toReversed(), node].toSorted(
    (left, right) => Number(left.name in limits ? 0 : 1) - Number(right.name in limits ? 0 : 1),
  );
  return byLimit.map(({ name }) => timeRow(times(own.name), times(name), limits[name] ?? null));
}
