import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { processIdentity, TaskError } from '@k8s-deployment/runner';
import { commandLines } from '../../ground/command-lines.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { shellWords } from '../../ground/shell-words.ts';
import type { Environment, EnvironmentContext, Outcome } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { checkPorts } from './ports.ts';
import {
  certificateDigest,
  livingServices,
  loadRenewed,
  readServices,
  type ServiceRecord,
  startService,
  stopServices,
} from './services.ts';
import { allServices, clusterFolder } from './state.ts';

const programs: readonly string[] = ['kwokctl', 'gpg-agent', ...allServices];

type Places = Pick<Environment, 'state' | 'clusterName' | 'gnupgHome' | 'plainState'>;

/**
 * The environment's processes with these names, recorded or not; by default its services, `kwokctl` and `gpg-agent`.
 * Their arguments contain a path of the environment or the cluster's name; a user's `tail -f` of a log is ignored.
 */
export async function findProcesses(
  { state, clusterName, gnupgHome, plainState }: Places,
  names = programs,
): Promise<readonly { readonly pid: number; readonly name: string }[]> {
  const found = await commandLines();
  const named = found.map(({ pid, program, words }) => ({ pid, name: serviceOf(program, words), words }));
  return named.filter(({ pid, name, words }) => {
    if (!names.includes(name) || pid === process.pid) return false;
    const line = words.join(' ');
    const hasPath = line.includes(`${state}/`) || line.includes(`${plainState}/`);
    return hasPath || words.includes(clusterName) || words.includes(gnupgHome);
  });
}

/** The service that a program is; most are called like it. */
function serviceOf(program: string, words: readonly string[]): string {
  // Node may be called `node-22`. Never a run of tasks or tests.
  const isJobRunner = program.startsWith('node') && words.some((word) => word.endsWith('/job-runner.ts'));
  if (isJobRunner) return 'job-runner';
  return program === 'postgres' ? 'postgresql' : program;
}

/**
 * Throws `TaskError` if the cluster runs where its processes cannot be seen, as in another container: etcd locks its
 * data, PostgreSQL does not. Without flock(1), as on macOS, nothing is known.
 */
export async function refuseElsewhere({ $, environment }: EnvironmentContext): Promise<void> {
  const data = join(clusterFolder(environment), 'etcd', 'member', 'snap', 'db');
  const test = '[ -e "$0" ] && command -v flock >/dev/null || exit 0; exec flock -n "$0" true';
  const { exitCode } = await $({ quiet: true, nothrow: true })`sh -c ${test} ${data}`;
  if (exitCode !== 1) return;
  if ((await findProcesses(environment, ['etcd'])).length > 0) return;
  throw new TaskError({
    what: `the cluster of environment \`${environment.name}\` runs in another container or on another host`,
    why: `${data} is locked, but no process here has it open`,
    advice: `use it there, or run ${taskCommand('stop-k8s')} there first`,
  });
}

/** Stops all processes of the environment, recorded or not. Returns their number. */
export async function stopEverything(environment: Places): Promise<number> {
  const records = await readServices(environment.state);
  await stopServices(environment.state, records);
  startedHere.clear();
  return records.length + (await stopStrays(environment));
}

/**
 * Stops processes with these names that a killed run started but did not record. Returns their number. Nobody else may
 * be starting such processes.
 */
export async function stopStrays(environment: Places, names = programs): Promise<number> {
  // kwokctl first, since it would start more of them.
  const first = names.includes('kwokctl') ? await endStrays(environment, ['kwokctl']) : 0;
  return first + (await endStrays(environment, names));
}

async function endStrays(environment: Places, names: readonly string[]): Promise<number> {
  const recorded = new Set((await readServices(environment.state)).map(({ pid }) => pid));
  const strays: ServiceRecord[] = [];
  for (const { pid, name } of await findProcesses(environment, names)) {
    const identity = recorded.has(pid) ? undefined : await processIdentity(pid);
    if (identity !== undefined) strays.push({ name: `${name}-${pid}`, ...identity });
  }
  await stopServices(environment.state, strays, 3000);
  return strays.length;
}

/** Services started by this run. It stops them if interrupted, and if it fails before they are handed over. */
const startedHere = new Map<string, ServiceRecord>();
let handedOver = false;

/** Lets started services outlive this run, unless it is interrupted later. */
export const handOver = (): void => {
  handedOver = true;
};

export function startedByThisRun(context: EnvironmentContext, record: ServiceRecord): void {
  if (startedHere.size === 0) {
    context.onRunEnd(async (outcome) => {
      const stops = outcome === 'interrupted' || (outcome === 'failed' && !handedOver);
      // After a destroy in the same run, there is none.
      if (!stops || startedHere.size === 0) return;
      context.log(`stopping the services that this run started: ${[...startedHere.keys()].join(', ')}`);
      await stopServices(context.environment.state, [...startedHere.values()], 5000);
      startedHere.clear();
    });
  }
  startedHere.set(record.name, record);
}

type Service = {
  readonly name: string;
  /** Its loopback ports, by their names in errors. */
  readonly ports?: { readonly [name: string]: number };
  /** Default: it answers as long as it runs. It does not if this rejects. */
  readonly ready?: () => Promise<boolean>;
  /** A running service with another configuration is restarted. */
  readonly configuration?: string;
  /** File of its certificate, which it loads again on SIGHUP. */
  readonly certificate?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Its command line. Called once no earlier process of the service is running. */
  readonly command: () => Promise<readonly string[]>;
};

/** True if the service runs with this digest and answers. */
export async function isUp(
  state: string,
  { name, digest, ready = async () => true }: Pick<ServiceRecord, 'name' | 'digest'> & Pick<Service, 'ready'>,
): Promise<boolean> {
  const running = (await livingServices(state)).find((record) => record.name === name);
  return running !== undefined && running.digest === digest && ready().catch(() => false);
}

/** Stops a service, recorded or not. */
export async function clearService(environment: Places, name: string): Promise<void> {
  const known = (await readServices(environment.state)).filter((record) => record.name === name);
  await stopServices(environment.state, known);
  await stopStrays(environment, [name]);
}

/**
 * Starts a service that is not up, without waiting for it; it ends with this run unless handed over. One that is up
 * loads a renewed certificate.
 */
export async function ensureService(context: EnvironmentContext, service: Service): Promise<Outcome> {
  const { environment } = context;
  const { state } = environment;
  const { name, ports = {}, configuration, certificate: file } = service;
  const digest = configuration && createHash('sha256').update(configuration).digest('hex');
  if (await isUp(state, { ...service, digest }))
    return file === undefined ? 'unchanged' : loadRenewed(state, name, file);
  await clearService(environment, name);
  await checkPorts(ports);
  const words = await service.command();
  const digests = { digest, certificate: file && (await certificateDigest(file)) };
  const env = { ...(await processEnvironment(environment)), ...service.env };
  const options = { env, cwd: environment.root };
  startedByThisRun(context, await startService(state, name, words, options, digests));
  return 'changed';
}

/**
 * A plain command for `--dry-run` that starts a server in the background and logs its output. The words must contain
 * the state folder's absolute path, by which stop-k8s finds the process.
 */
export const inBackground = (
  { name }: Pick<Environment, 'name'>,
  service: string,
  words: readonly string[],
): string => `${shellWords(words)} >> .state/${name}/logs/${service}.log 2>&1 &`;
