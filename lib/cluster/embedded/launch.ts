import { basename } from 'node:path';
import type { Outcome } from '../../ground/outcome.ts';
import { shellWords } from '../../ground/shell-words.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { type Environment, processEnvironment } from '../../settings/environment.ts';
import { checkPorts } from './ports.ts';
import { startedByThisRun, stopStrays } from './processes.ts';
import { livingServices, readServices, startService, stopServices, waitForService } from './services.ts';

/** Milliseconds that a server may take to answer. */
const startMs = 60_000;

export type ServiceLaunch = {
  readonly name: string;
  /** The program's path, to find it in the list of processes; `command` may be a wrapper that calls it. */
  readonly program: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Loopback ports that it listens on, by their names in errors. */
  readonly ports: { readonly [name: string]: number };
  readonly ready?: () => Promise<boolean>;
  /** See `ServiceRecord`. */
  readonly digest?: string;
  /** Called once no earlier process of this service runs. */
  readonly prepare?: () => Promise<void>;
};

/** True when the service runs as it was started with this digest, and answers. */
export async function isUp(
  { state }: Pick<Environment, 'state'>,
  name: string,
  ready: () => Promise<boolean>,
  digest?: string,
): Promise<boolean> {
  const running = (await livingServices(state)).find((record) => record.name === name);
  return running !== undefined && running.digest === digest && (await ready());
}

/** Stops a service, recorded or left by a killed run. */
export async function clearService(
  environment: Parameters<typeof stopStrays>[0],
  name: string,
  program: string,
): Promise<void> {
  const known = (await readServices(environment.state)).filter((record) => record.name === name);
  await stopServices(environment.state, known);
  await stopStrays(environment, [basename(program)]);
}

/** Stops a service if it runs, starts it, and waits until it is `ready`. It ends with this run unless it is handed over. */
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

/** Waits until a started service answers. Throws `TaskError` if it ends, or takes longer than a minute. */
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
 * A plain command for `--dry-run` that starts a server in the background, with its output in its log. The words must contain
 * the absolute path of the state folder: stop-k8s finds the process by it.
 */
export const inBackground = (
  { name }: Pick<Environment, 'name'>,
  service: string,
  words: readonly string[],
): string => `${shellWords(words)} >> .state/${name}/logs/${service}.log 2>&1 &`;

/** True when the URL answers a GET with 2xx within two seconds. */
export async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
