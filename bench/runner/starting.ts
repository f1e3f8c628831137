import { join } from 'node:path';
import { root } from '../../lib/project.ts';
import { type Row, timeRow } from '../report.ts';
import { type BenchRun, emptyFile, underLoader } from './bench-run.ts';
import { tree } from './graph-shape.ts';
import type { Contender } from './measure.ts';

const rounds = 15;

/** What is asked before anything runs, against an empty file; for a small file of tasks and for this project's own. */
export async function startRows(run: BenchRun): Promise<Row[]> {
  const files = [
    ['ten tasks', underLoader('graph.ts')],
    ['this project', [process.execPath, '--import', 'tsx', join(root, 'tasks.ts')]],
  ] as const;
  const questions = [
    ['--version', 1.15],
    ['list', 1.3],
  ] as const;
  const asked = files.flatMap(([file, command]) =>
    questions.map(([question, limit]) => ({
      limit,
      contender: { name: `${question}, ${file}`, command: [...command, question] } as Contender,
    })),
  );
  const times = await run.compare(
    'start-up',
    [emptyFile, ...asked.map(({ contender }) => contender)],
    rounds,
  );
  return asked.map(({ contender, limit }) => timeRow(times(contender.name), times(emptyFile.name), limit));
}

/** A graph of ten tasks that do nothing, next to every peer; for information. */
export async function tenTaskRows(run: BenchRun): Promise<Row[]> {
  const own: Contender = {
    name: 'ten tasks that do nothing',
    command: underLoader('graph.ts', 't0'),
    env: { BENCH_TASKS: '10' },
  };
  const peers = await Promise.all(run.peers.map((peer) => run.contender(peer, tree(10))));
  const times = await run.compare(own.name, [own, ...peers], rounds);
  return peers.map((peer) => timeRow(times(own.name), times(peer.name), null));
}
