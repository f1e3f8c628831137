import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import { choosePorts } from '../lib/cluster/embedded/ports.ts';
import { type Measured, memoryRow, type Row, timeRow } from './report.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';

/**
 * Time of `create-environment` on the embedded cluster, as ratios to its peers. Throws `MissingToolError` for a missing tool and
 * `TaskError` when a step fails.
 */
export async function environmentRows(context: TaskContext, repetitions: number): Promise<Row[]> {
  const sandbox = await makeSandbox(context);
  const measured: Measurement[] = [];
  // The steps of one repetition run in sequence, so that a slow machine slows all of them.
  for (let round = 1; round <= repetitions; round += 1) {
    context.log(`repetition ${round} of ${repetitions}`);
    measured.push(await measure(sandbox, context));
  }
  return compare(measured);
}

/** Milliseconds, and MiB for the memory. */
type Measurement = {
  readonly create: number;
  readonly again: number;
  readonly serial: number;
  readonly kubernetes: number;
  readonly bare: number;
  readonly memory: number;
};

function compare(measured: readonly Measurement[]): Row[] {
  const of = (name: string, step: Exclude<keyof Measurement, 'memory'>): Measured => ({
    name,
    times: measured.map((measurement) => measurement[step]),
  });
  const create = 'create-environment';
  return [
    timeRow(of(create, 'create'), of('bench/serial.sh', 'serial'), 0.7),
    timeRow(of(`${create} again, unchanged`, 'again'), of('the first run', 'create'), 0.2),
    timeRow(of('cluster ready', 'kubernetes'), of('bare kwokctl', 'bare'), 1.2),
    memoryRow(
      "the runner's own memory at its peak",
      measured.map(({ memory }) => memory),
      150,
    ),
  ];
}

async function measure(sandbox: Sandbox, context: TaskContext): Promise<Measurement> {
  const { folder, environments, variables, $ } = sandbox;
  const timed = async (name: string, step: () => PromiseLike<unknown>): Promise<number> => {
    const start = performance.now();
    await step();
    const ms = performance.now() - start;
    context.log(`${name}: ${(ms / 1000).toFixed(2)} s`);
    return ms;
  };
  const run = ['./run', '--env', 'development', '--provider', 'embedded'];

  const memoryFile = join(folder, 'peak-memory');
  const watched = $({ env: { ...variables, ...memoryVariables(folder, memoryFile) } });
  const create = await timed('create-environment', () => watched`${run} create-environment`);
  const memory = Number(await readFile(memoryFile, 'utf8')) / 1024;
  const again = await timed('again', async () => {
    const { stderr } = await $`${run} create-environment`;
    if (!stderr.includes('nothing changed')) throw changedAgain(stderr);
  });
  await $`${run} destroy-environment --yes`;

  const { clusterName } = environments.serial;
  const first = Math.min(...Object.values(await choosePorts(clusterName.slice(-8), serialPorts)));
  const serial = await timed('serial.sh', () => $`bench/serial.sh serial ${clusterName} ${first}`);
  await sandbox.clear('serial');

  const { kubeconfig } = environments.development;
  const kubernetes = await timed('Kubernetes part', async () => {
    await $`node --import tsx bench/kubernetes.ts development`;
    await $`kubectl --kubeconfig ${kubeconfig} wait --for=condition=Ready node --all --timeout=60s`;
  });
  await $`${run} destroy-environment --yes`;

  const { state, clusterName: bareName } = environments.bare;
  await mkdir(state, { recursive: true });
  const bare = await timed('bare kwokctl', () => $`bench/bare.sh ${state} ${bareName}`);
  await sandbox.clear('bare');

  return { create, again, serial, kubernetes, bare, memory };
}

/** serial.sh counts eleven ports up from the first. */
const serialPorts = Array.from({ length: 11 }, (_, index) => `port ${index}`);

/** Makes the run record its peak memory; children are not counted. */
function memoryVariables(folder: string, file: string): NodeJS.ProcessEnv {
  const preload = `--import=${pathToFileURL(join(folder, 'bench', 'peak-memory.mjs'))}`;
  return {
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${preload}`,
    BENCH_PEAK_MEMORY: file,
    BENCH_PEAK_MEMORY_OF: '/tasks.ts',
  };
}

function changedAgain(stderr: string): TaskError {
  return new TaskError({
    what: 'the second run of create-environment changed something',
    why: stderr.trim().split('\n').at(-1) ?? '',
    advice: 'only an unchanged run can be compared with the first',
  });
}
