import { stat } from 'node:fs/promises';
import { withPostgresql } from '../cluster/cluster.ts';
import { providerOf } from '../cluster/providers.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin } from '../database/login.ts';
import { decryptPassword, type LoginRole, loginRoles } from '../database/roles.ts';
import { fewAtOnce } from '../ground/few-at-once.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { readRotation } from '../rotation/passwords.ts';
import { importKeys } from '../secrets/keyring.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import type { Status } from './status.ts';

/* What the status says of Vault and PostgreSQL, and whether PostgreSQL accepts the passwords of the encrypted files. */

const notReachable = 'not reachable';
export const unread = 'not known, since the settings cannot be read';

const isDeployed = ({ cluster, releases }: Status, wanted: string): boolean =>
  cluster.state === 'running' &&
  releases.some(({ name, status }) => name === wanted && status === 'deployed');

/** True if a deployed Vault or PostgreSQL does not serve, as after an interrupted start. */
export function isHalfStarted(status: Status): boolean {
  const { vault, database } = status;
  if (!providerOf(status).ownsCluster) return false;
  const shut = vault === null || (vault.initialized && vault.sealed);
  const silent = database?.reachable !== true;
  return (isDeployed(status, 'vault') && shut) || (isDeployed(status, 'postgresql') && silent);
}

export async function describeDatabase(context: EnvironmentContext, status: Status): Promise<string> {
  const { database } = status;
  if (database === null) return isDeployed(status, 'postgresql') ? notReachable : '-';
  if (!database.reachable) return notReachable;
  const problem = await databaseProblem(context);
  return problem === undefined ? 'reachable' : `reachable; ${problem}`;
}

export async function describeVault({ environment }: EnvironmentContext, status: Status): Promise<string> {
  const { vault } = status;
  if (vault === null) {
    if (!isDeployed(status, 'vault')) return '-';
    return loadSettings(environment).then(
      () => notReachable,
      () => unread,
    );
  }
  if (!vault.initialized) return `not initialised: run ${taskCommand('create-environment')}`;
  if (vault.sealed) return 'sealed';
  if (vault.configured === null) return 'unsealed; whether it is configured is not known';
  return vault.configured
    ? 'unsealed, configured'
    : `unsealed, not configured: run ${taskCommand('init-vault')}`;
}

/** Milliseconds for a login, which takes seconds on a busy machine. */
const answerMs = 10_000;

/**
 * Why an answering database is unhealthy: an unfinished rotation, refused passwords, or a failed check. Undefined if
 * it is healthy, and without sops or a keyring, which the check needs.
 */
export async function databaseProblem(context: EnvironmentContext): Promise<string | undefined> {
  const { environment } = context;
  const begun = await readRotation(environment).then(Object.keys, () => ['unknown roles']);
  if (begun.length > 0)
    return `the rotation of ${begun.join(', ')} is not finished: run ${taskCommand('rotate-database-password')}`;
  const keyring = await ifThere(stat(environment.gnupgHome));
  if (keyring === undefined || !(await findTool('sops'))) return undefined;
  const settings = await loadSettings(environment).catch(() => undefined);
  // `readStatus` has logged why.
  if (settings === undefined) return 'its passwords cannot be checked, since the settings cannot be read';
  // After a change of keys; without the key, the decryption says so.
  await importKeys({ ...context, settings }).catch(() => undefined);
  const identity = serverIdentity({ ...context, settings });
  identity.catch(() => undefined);
  const roles = loginRoles(settings);
  const accepts = async ({ name: user, database, secret }: LoginRole): Promise<boolean> => {
    const password = await decryptPassword(context, secret);
    const login = { user, password, database, identity: await identity, timeoutMs: answerMs };
    return withPostgresql(context, (address) => acceptsLogin({ ...address, ...login }), 0);
  };
  // Without an answer in time, the password is neither accepted nor refused.
  const answers = await fewAtOnce(roles, (role) => accepts(role).catch((error: Error) => error));
  const refused = roles.filter((_, index) => answers[index] === false);
  const failed = answers.find((answer) => answer instanceof Error);
  if (refused.length === 0)
    return failed && `its passwords cannot be checked: ${failed.message.split('\n')[0]}`;
  const what = 'refuses the password of the encrypted file';
  const rotate = `run ${taskCommand('rotate-database-password')}`;
  if (refused.some(({ kind }) => kind === 'superuser')) return `${what}: ${rotate}`;
  const names = refused.map(({ name }) => name).join(', ');
  return `${what} for ${names}: ${rotate}, or ${taskCommand('install-app postgresql')} if the role is new`;
}
