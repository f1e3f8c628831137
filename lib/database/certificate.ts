import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import {
  type CertificateRequest,
  certificateCommands,
  certificateFiles,
  ensureCertificate,
} from '../certificates/certificates.ts';
import { taskCommand } from '../ground/launcher.ts';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { Context, ShellContext, Target } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import type { Settings } from '../settings/settings.ts';
import type { ServerIdentity } from './login.ts';

const name = 'postgresql';

/** Names of the server: its Service, and loopback for a port-forward or the embedded cluster. */
const request = ({ database }: Settings): CertificateRequest => ({
  name,
  hosts: [...new Set([database.host, 'postgresql.database.svc', 'localhost', '127.0.0.1'])],
});

/** Secret of an external certificate, such as cert-manager's; empty for the environment's own authority. */
function existingSecret({ releases }: Settings): string {
  const { postgresql } = (releases ?? {}) as { postgresql?: { tls?: { existingSecret?: string } } };
  return postgresql?.tls?.existingSecret ?? '';
}

/** Ensures the server's certificate and its authority. */
export async function ensureDatabaseCertificate(context: Context): Promise<'changed' | 'unchanged'> {
  const { settings } = context;
  if (existingSecret(settings) !== '') return 'unchanged';
  return (await ensureCertificate(context, request(settings))).outcome;
}

/** The plain commands of `ensureDatabaseCertificate`. */
export const databaseCertificateCommands = ({ environment, settings }: Target): readonly string[] =>
  existingSecret(settings) === '' ? certificateCommands(environment, request(settings)) : [];

export const databaseCertificate = ({ state }: Environment) => certificateFiles({ state }, name);

/** The authority's certificate as a bash argument that names a file. */
export function authorityFile({ environment, settings }: Target): string {
  const secret = existingSecret(settings);
  return secret === ''
    ? relative(environment.root, databaseCertificate(environment).authority)
    : `<(${kubectlText(environment)} -n database get secret ${secret} -o jsonpath='{.data.ca\\.crt}' | base64 -d)`;
}

/** The authority and name by which clients verify the server. */
export async function serverIdentity(
  context: Pick<Context, '$' | 'environment' | 'settings'>,
): Promise<ServerIdentity> {
  const { environment, settings } = context;
  const secret = existingSecret(settings);
  const authority =
    secret === ''
      ? await readFile(databaseCertificate(environment).authority, 'utf8').catch(missing(environment))
      : await authorityOf(context, secret);
  return { authority, name: settings.database.host };
}

const missing =
  ({ name }: Environment) =>
  (error: Error): never => {
    throw new TaskError({
      what: `cannot read the authority of the database's certificate`,
      why: error.message,
      advice: `run ${taskCommand('create-environment')}: it recreates .state/${name}/certificates`,
    });
  };

async function authorityOf(context: ShellContext, secret: string): Promise<string> {
  type Secret = { readonly data?: { readonly 'ca.crt'?: string } };
  const [found] = await kubectlList<Secret>(context, 'get', 'secret', secret, '-n', 'database');
  const authority = found?.data?.['ca.crt'];
  if (authority !== undefined) return Buffer.from(authority, 'base64').toString();
  throw new TaskError({
    what: `the Secret ${secret} of the namespace database has no ca.crt`,
    why: 'clients verify the database by this authority',
    advice:
      'make the issuer of the certificate (cert-manager) add it; see releases.postgresql.tls.existingSecret',
  });
}
