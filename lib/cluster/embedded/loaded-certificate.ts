import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSameProcess } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import type { Environment, Outcome } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { readServices } from './services.ts';

/*
 * Which certificate a server beside the cluster has loaded: a killed run may have renewed it without telling the
 * server.
 */

type Place = Pick<Environment, 'state'>;

export const digestOf = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex');

const record = ({ state }: Place, service: string): string => join(state, service, 'certificate.sha256');

/** Records that the service, which is about to start, loads this certificate. */
export const recordLoaded = async (environment: Place, service: string, certificate: string): Promise<void> =>
  writeWhole(record(environment, service), digestOf(await readFile(certificate)));

/** Makes a running service load its certificate and key again (SIGHUP), unless it loaded this one. */
export async function loadRenewed(
  environment: Place,
  service: string,
  certificate: string,
): Promise<Outcome> {
  const digest = digestOf(await readFile(certificate));
  if ((await textIfThere(record(environment, service))) === digest) return 'unchanged';
  const running = (await readServices(environment.state)).find(({ name }) => name === service);
  if (running === undefined || !(await isSameProcess(running))) return 'unchanged';
  process.kill(running.pid, 'SIGHUP');
  await recordLoaded(environment, service, certificate);
  return 'changed';
}
