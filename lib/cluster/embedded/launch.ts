import { basename } from 'node:path';
import { shellWords } from '../../ground/shell-words.ts';
import type { Environment, EnvironmentContext, Outcome } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { checkPorts } from './ports.ts';
import { startedByThisRun, stopStrays } from './processes.ts';
import { livingServices, readServices, startService, stopServices, waitForService } from './services.ts';

/** Milliseconds for a server to answer. */
const startMs = 60_000;

export type ServiceLaunch = {
  readonly name: string;
  /** Path of the program in the list of processes; `command` may be a wrapper around it. */
  readonly program: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Its loopback ports, by their names in errors. */
  readonly ports: { readonly [name: string]: number };
  readonly ready?: () => Promise<boolean>;
  /** See `ServiceRecord`. */
  readonly digest?: string;
  /** Called once no earlier process of the service is running. */
  readonly prepare?: () => Promise<void>;
};

/** True if the service runs with this digest and answers. */
export async function isUp(
  { state }: Pick<Environment, 'state'>,
  name: string,
  ready: () => Promise<boolean>,
  digest?: string,
): Promise<boolean> {
  const running = (await livingServices(state)).find((record) => record.name === name);
  return running !== undefined && running.digest === digest && ready();
}

/** Stops a service, recorded or not. */
export async function clearService(
  environment: Parameters<typeof stopStrays>[0],
  name: string,
  program: string,
): Promise<void> {
  const known = (await readServices(environment.state)).filter((record) => record.name === name);
  await stopServices(environment.state, known);
  await stopStrays(environment, [basename(program)]);
}

/** Restarts a service and waits until it is `ready`. It ends with this run unless handed over. */
export async function launchService(context: EnvironmentContext, launch: ServiceLaunch): Promise<Outcome> {
  const { environment } = context;
  const { name } = launch;
  await clearService(environment, name, launch.program);
  await checkPorts(launch.ports);
  await launch.prepare?.();
  const env = { ...(await processEnvironment(environment)), ...launch.env };
  const options = { env, cwd: environment.root };
  const record = await startService(environment.state, name, launch.command, options, launch.digest);
  startedByThisRun(context, record);
  if (launch.ready) await waitUntilUp(context, name, launch.ready);
  return 'changed';
}

/** Waits until a started service answers. Throws `TaskError` if it ends or takes longer than a minute. */
export async function waitUntilUp(
  context: EnvironmentContext,
  name: string,
  ready: () => Promise<boolean>,
): Promise<void> {
  const { environment } = context;
  const record = (await readServices(environment.state)).find((known) => known.name === name);
  if (record === undefined) throw new Error(`${name} was not started`);
  await waitForService(environment.state, record, ready, { timeoutMs: startMs, signal: context.signal });
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
