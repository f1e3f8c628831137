import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import {
  type CertificateRequest,
  certificateCommands,
  certificateFiles,
  ensureCertificate,
} from '../certificates/certificates.ts';
import { taskCommand } from '../ground/launcher.ts';
import { root } from '../ground/project.ts';
import { kubectlJson, kubectlText } from '../kubernetes/kubectl.ts';
import { TaskError } from '../runner/runner.ts';
import type { Context, ShellContext, Target } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import type { Settings } from '../settings/settings.ts';
import type { ServerIdentity } from './login.ts';

const name = 'postgresql';

/** The names by which the server is called: its Service's, and loopback's, where a port-forward or the embedded cluster ends. */
const request = ({ database }: Settings): CertificateRequest => ({
  name,
  hosts: [...new Set([database.host, 'postgresql.database.svc', 'localhost', '127.0.0.1'])],
});

/** The Secret with a certificate that somebody else looks after, such as cert-manager; empty: the environment's own authority. */
function existingSecret({ releases }: Settings): string {
  const { postgresql } = (releases ?? {}) as { postgresql?: { tls?: { existingSecret?: string } } };
  return postgresql?.tls?.existingSecret ?? '';
}

/** Makes sure of the server's certificate and of the authority that signs it; see `certificates.ts`. */
export async function ensureDatabaseCertificate(context: Context): Promise<'changed' | 'unchanged'> {
  const { settings } = context;
  if (existingSecret(settings) !== '') return 'unchanged';
  return (await ensureCertificate(context, request(settings))).outcome;
}

/** The same as plain commands. */
export const databaseCertificateCommands = ({ environment, settings }: Target): readonly string[] =>
  existingSecret(settings) === '' ? certificateCommands(environment, request(settings)) : [];

/** Paths of its files, absolute. */
export const databaseCertificate = (environment: Environment) => certificateFiles(environment, name);

/** The authority's certificate as a word of plain commands in bash, where a file is expected. */
export function authorityFile({ environment, settings }: Target): string {
  const secret = existingSecret(settings);
  return secret === ''
    ? relative(root, databaseCertificate(environment).authority)
    : `<(${kubectlText(environment)} -n database get secret ${secret} -o jsonpath='{.data.ca\\.crt}' | base64 -d)`;
}

/** By what clients know the server: the authority that signed its certificate, and the name that has to be in it. */
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
      what: `the authority of the database's certificate cannot be read`,
      why: error.message,
      advice: `run ${taskCommand('create-environment')}: it makes .state/${name}/certificates anew`,
    });
  };

async function authorityOf(context: ShellContext, secret: string): Promise<string> {
  type Secret = { readonly data?: { readonly 'ca.crt'?: string } };
  const found = await kubectlJson<Secret>(context, 'get', 'secret', secret, '-n', 'database');
  const authority = found.data?.['ca.crt'];
  if (authority !== undefined) return Buffer.from(authority, 'base64').toString();
  throw new TaskError({
    what: `the Secret ${secret} of the namespace database has no ca.crt`,
    why: 'it is the authority by which the database is known',
    advice:
      'have whoever makes the certificate (cert-manager) put it there; see releases.postgresql.tls.existingSecret',
  });
}
