import { bootId, processStartTime } from '@k8s-deployment/runner';
import { commandLines } from '../../ground/command-lines.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import type { Environment } from '../../settings/environment.ts';
import { readServices, type ServiceRecord, stopServices } from './services.ts';

const programs = new Set([
  'kwokctl',
  'gpg-agent',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok-controller',
  'vault',
  'vault-secrets-operator',
  'postgres',
  'node',
]);

type Places = Pick<Environment, 'state' | 'clusterName' | 'gnupgHome' | 'plainState'>;

/**
 * Pids of the environment's programs, recorded or not; a killed run may have left some. Their command lines contain a path
 * of the environment or the cluster's name. A user's `tail -f` of a log is not included.
 */
export async function findProcesses({
  state,
  clusterName,
  gnupgHome,
  plainState,
}: Places): Promise<{ readonly pid: number; readonly program: string }[]> {
  const names = new Set([clusterName, gnupgHome]);
  const found: { pid: number; program: string }[] = [];
  for (const { pid, program, words } of await commandLines()) {
    if (!programs.has(program) || pid === process.pid) continue;
    // The only Node process is the job runner: never a run of the tasks or of a test.
    if (program === 'node' && !words.some((word) => word.endsWith('/job-runner.ts'))) continue;
    const line = words.join(' ');
    const hasPath = line.includes(`${state}/`) || line.includes(`${plainState}/`);
    if (hasPath || words.some((word) => names.has(word))) found.push({ pid, program });
  }
  return found;
}

/** Stops every process of the environment, recorded or left by a killed run. Returns how many there were. */
export async function stopEverything(environment: Places): Promise<number> {
  const records = await readServices(environment.state);
  await stopServices(environment.state, records);
  startedHere.clear();
  return records.length + (await stopStrays(environment));
}

/**
 * Stops processes without a record, which a killed run had just started. Returns how many there were. `only` limits it to
 * programs that nobody else starts at this moment.
 */
export async function stopStrays(environment: Places, only?: readonly string[]): Promise<number> {
  // First kwokctl, which would start more of them.
  const first = only?.includes('kwokctl') === false ? 0 : await endStrays(environment, ['kwokctl']);
  return first + (await endStrays(environment, only));
}

async function endStrays(environment: Places, only?: readonly string[]): Promise<number> {
  const recorded = new Set((await readServices(environment.state)).map(({ pid }) => pid));
  const strays: ServiceRecord[] = [];
  for (const { pid, program } of await findProcesses(environment)) {
    if (recorded.has(pid) || (only !== undefined && !only.includes(program))) continue;
    const startTime = await processStartTime(pid);
    if (startTime !== undefined)
      strays.push({ name: `${program}-${pid}`, pid, startTime, bootId: await bootId() });
  }
  await stopServices(environment.state, strays, 3000);
  return strays.length;
}

/** Services that this run started. An interrupted run stops them; a failed one does too, unless they were handed over. */
const startedHere = new Map<string, ServiceRecord>();
let handedOver = false;

/** Lets the started services outlive this run, unless it is interrupted later. */
export const handOver = (): void => {
  handedOver = true;
};

/** Registers a service that this run started. */
export function startedByThisRun(context: EnvironmentContext, record: ServiceRecord): void {
  if (startedHere.size === 0) {
    context.onRunEnd(async (outcome) => {
      const stops = outcome === 'interrupted' || (outcome === 'failed' && !handedOver);
      // A destroy in the same run leaves none.
      if (!stops || startedHere.size === 0) return;
      context.log(`stopping the services that this run started: ${[...startedHere.keys()].join(', ')}`);
      await stopServices(context.environment.state, [...startedHere.values()], 5000);
      startedHere.clear();
    });
  }
  startedHere.set(record.name, record);
}
