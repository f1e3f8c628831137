import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import { choosePorts } from '../lib/cluster/embedded/ports.ts';
import { type Measured, memoryRow, type Row, timeRow } from './report.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';

type Timed = (step: string, run: () => PromiseLike<unknown>) => Promise<void>;

/**
 * Time of `create-environment` on the embedded cluster, as ratios to its peers. Throws `MissingToolError` for a missing
 * tool and `TaskError` when a step fails.
 */
export async function environmentRows(context: TaskContext, repetitions: number): Promise<Row[]> {
  const sandbox = await makeSandbox(context);
  const times: { [step: string]: number[] } = {};
  const peaks: number[] = [];
  const timed: Timed = async (step, run) => {
    const start = performance.now();
    await run();
    const ms = performance.now() - start;
    context.log(`${step}: ${(ms / 1000).toFixed(2)} s`);
    times[step] = [...(times[step] ?? []), ms];
  };
  // The steps of one repetition run in sequence, so that a slow machine slows all of them.
  for (let round = 1; round <= repetitions; round += 1) {
    context.log(`repetition ${round} of ${repetitions}`);
    peaks.push(await measure(sandbox, timed));
  }
  const of = (name: string, step = name): Measured => ({ name, times: times[step] ?? [] });
  return [
    timeRow(of(create), of(serial), 0.7),
    timeRow(of(again), of('the first run', create), 0.2),
    timeRow(of(ready), of(bare), 1.2),
    memoryRow("the runner's own memory at its peak", peaks, 150),
  ];
}

const create = 'create-environment';
const again = `${create} again, unchanged`;
const serial = 'bench/serial.sh';
const ready = 'cluster ready';
const bare = 'bare kwokctl';

/** Times all steps once; returns the peak memory of the first, in MiB. */
async function measure({ folder, environments, variables, $, clear }: Sandbox, timed: Timed) {
  const run = ['./run', '--env', 'development', '--provider', 'embedded'];

  const memoryFile = join(folder, 'peak-memory');
  const watched = $({ env: { ...variables, ...memoryVariables(folder, memoryFile) } });
  await timed(create, () => watched`${run} create-environment`);
  const memory = Number(await readFile(memoryFile, 'utf8')) / 1024;
  await timed(again, async () => {
    const { stderr } = await $`${run} create-environment`;
    if (!stderr.includes('nothing changed')) throw changedAgain(stderr);
  });
  await $`${run} destroy-environment --yes`;

  const { clusterName } = environments.serial;
  // serial.sh counts eleven ports up from the first.
  const { kubeApiserver: first } = await choosePorts(clusterName.slice(-8));
  await timed(serial, () => $`bench/serial.sh serial ${clusterName} ${first}`);
  await clear('serial');

  const { kubeconfig } = environments.development;
  await timed(ready, async () => {
    await $`node --import tsx bench/kubernetes.ts development`;
    await $`kubectl --kubeconfig ${kubeconfig} wait --for=condition=Ready node --all --timeout=60s`;
  });
  await $`${run} destroy-environment --yes`;

  const { state, clusterName: bareName } = environments.bare;
  await mkdir(state, { recursive: true });
  await timed(bare, () => $`bench/bare.sh ${state} ${bareName}`);
  await clear('bare');

  return memory;
}

/** Makes the run record its peak memory; children are not counted. */
function memoryVariables(folder: string, file: string): NodeJS.ProcessEnv {
  const preload = `--import=${pathToFileURL(join(folder, 'bench', 'peak-memory.mjs'))}`;
  return {
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${preload}`,
    BENCH_PEAK_MEMORY: file,
    BENCH_PEAK_MEMORY_OF: '/tasks.mjs',
  };
}

function changedAgain(stderr: string): TaskError {
  return new TaskError({
    what: 'the second run of create-environment changed something',
    why: stderr.trim().split('\n').at(-1) ?? '',
    advice: 'only an unchanged run can be compared with the first',
  });
}
