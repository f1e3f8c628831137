import { basename } from 'node:path';
import type { Outcome } from '../../ground/outcome.ts';
import { root } from '../../ground/project.ts';
import { shellWords } from '../../ground/shell-words.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { type Environment, processEnvironment } from '../../settings/environment.ts';
import { checkPorts } from './ports.ts';
import { isAlive, readServices, startService, stopServices, waitForService } from './services.ts';
import { startedByThisRun, stopStrays } from './state.ts';

/** Milliseconds that a server may take until it answers. */
const startMs = 60_000;

export type ServiceLaunch = {
  readonly name: string;
  /** The program itself, by which it is found in the list of processes; `command` may be one that calls it. */
  readonly program: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Loopback ports that it will listen on, by the name that an error gives them. */
  readonly ports: { readonly [name: string]: number };
  /** Called when it is sure that no earlier process of this service runs. */
  readonly prepare?: () => Promise<void>;
};

/** Whether the service runs and answers. */
export async function isUp(
  { state }: Environment,
  name: string,
  ready: () => Promise<boolean>,
): Promise<boolean> {
  const known = (await readServices(state)).find((record) => record.name === name);
  return known !== undefined && (await isAlive(known)) && (await ready());
}

/** Starts a service anew and waits until it answers; see `startAnew`. */
export async function launchService(
  context: EnvironmentContext,
  { ready, ...launch }: ServiceLaunch & { readonly ready: () => Promise<boolean> },
): Promise<Outcome> {
  await startAnew(context, launch);
  await waitUntilUp(context, launch.name, ready);
  return 'changed';
}

/** Stops a service, recorded or left behind by a killed run. */
export async function clearService(environment: Environment, name: string, program: string): Promise<void> {
  const known = (await readServices(environment.state)).filter((record) => record.name === name);
  await stopServices(environment.state, known);
  await stopStrays(environment, [basename(program)]);
}

/**
 * Starts a service anew. One that lives but does not answer, or that a killed run left without a record, is stopped first.
 * The service ends with this run unless it is handed over.
 */
export async function startAnew(context: EnvironmentContext, launch: ServiceLaunch): Promise<void> {
  const { environment } = context;
  const { name } = launch;
  await clearService(environment, name, launch.program);
  await checkPorts(launch.ports);
  await launch.prepare?.();
  const [command = '', ...args] = launch.command;
  const env = { ...(await processEnvironment(environment)), ...launch.env };
  const record = await startService(environment.state, { name, command, args, env, cwd: root });
  startedByThisRun(context, record);
}

/** Waits until a service that was started answers. Throws `TaskError` when it ends or takes longer than a minute. */
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
 * A server as a plain command for `--dry-run`: beside the shell, with its output in its log. The state folder's whole path
 * has to be among the words, or else stop-k8s would not find the process.
 */
export const inBackground = (environment: Environment, name: string, words: readonly string[]): string =>
  `${shellWords(words)} >> .state/${environment.name}/logs/${name}.log 2>&1 &`;

/** Whether a GET is answered with 2xx within two seconds. */
export async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
