import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../../lib/project.ts';
import { type Row, timeRow } from '../report.ts';
import { type BenchRun, emptyFile, underLoader } from './bench-run.ts';
import { tree } from './graph-shape.ts';
import type { Contender } from './measure.ts';

const rounds = 15;

/** Sources the script of `completion bash`, and completes a word as readline would have it. */
const completeWord = 'source "$1"; COMP_WORDS=(./run inst); COMP_CWORD=1; _task_runner_complete ./run';

/** What is asked before anything runs, against an empty file; for a small file of tasks and for this project's own. */
export async function startRows(run: BenchRun): Promise<Row[]> {
  const project: Contender['command'] = [
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    join(root, 'tasks.ts'),
  ];
  const script = join(run.folder, 'completion.bash');
  await promisify(execFile)('sh', ['-c', '"$0" "$@" > completion.bash', ...project, 'completion', 'bash'], {
    cwd: run.folder,
  });
  const commands: readonly (readonly [name: string, command: Contender['command'], limit: number])[] = [
    ['--version, ten tasks', [...underLoader('graph.ts'), '--version'], 1.15],
    ['list, ten tasks', [...underLoader('graph.ts'), 'list'], 1.3],
    ['--version, this project', [...project, '--version'], 1.15],
    ['list, this project', [...project, 'list'], 1.3],
    ['completion bash, this project', [...project, 'completion', 'bash'], 1.15],
    ['a TAB in bash, this project', ['bash', '-c', completeWord, 'bash', script], 1.15],
  ];
  const asked = commands.map(([name, command, limit]) => ({
    limit,
    contender: { name, command },
  }));
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
