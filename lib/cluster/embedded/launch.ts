import { createHash } from 'node:crypto';
import { shellWords } from '../../ground/shell-words.ts';
import type { Environment, EnvironmentContext, Outcome } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { checkPorts } from './ports.ts';
import { type Places, startedByThisRun, stopStrays } from './processes.ts';
import {
  certificateDigest,
  livingServices,
  loadRenewed,
  readServices,
  startService,
  stopServices,
} from './services.ts';

export type Service = {
  readonly name: string;
  /** Its loopback ports, by their names in errors. */
  readonly ports?: { readonly [name: string]: number };
  /** Default: it answers as long as it runs. */
  readonly ready?: () => Promise<boolean>;
  /** See `ServiceRecord`. */
  readonly digest?: string;
  /** File of its certificate, which it loads again on SIGHUP. */
  readonly certificate?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Its command line. Called once no earlier process of the service is running. */
  readonly command: () => Promise<readonly string[]>;
};

/** SHA-256 (hexadecimal) of a service's configuration. */
export const digestOf = (content: string): string => createHash('sha256').update(content).digest('hex');

/** True if the service runs with this digest and answers. */
export async function isUp(
  state: string,
  { name, digest, ready = async () => true }: Pick<Service, 'name' | 'digest' | 'ready'>,
): Promise<boolean> {
  const running = (await livingServices(state)).find((record) => record.name === name);
  return running !== undefined && running.digest === digest && ready();
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
  const { name, ports = {}, digest, certificate: file } = service;
  if (await isUp(state, service)) return file === undefined ? 'unchanged' : loadRenewed(state, name, file);
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
