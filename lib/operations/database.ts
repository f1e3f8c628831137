import { stat } from 'node:fs/promises';
import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin } from '../database/login.ts';
import { decryptPassword, type LoginRole, loginRoles } from '../database/roles.ts';
import { fewAtOnce } from '../ground/few-at-once.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { readRotation } from '../rotation/rotation-state.ts';
import { stopAgent } from '../secrets/keyring.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';

/* Checks whether PostgreSQL accepts the passwords in the encrypted files. */

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
  context.onRunEnd(() => stopAgent(context));
  const settings = await loadSettings(environment).catch((error: Error) => error);
  if (settings instanceof Error) return unchecked(settings);
  const identity = serverIdentity({ ...context, settings });
  identity.catch(() => undefined);
  const roles = loginRoles(settings);
  const check = async ({ name: user, database, secret }: LoginRole): Promise<boolean> => {
    const password = await decryptPassword(context, secret);
    const login = { user, password, database, identity: await identity, timeoutMs: answerMs };
    return withPostgresql(context, (address) => acceptsLogin({ ...address, ...login }), 0);
  };
  const tried = (await fewAtOnce(roles, (role) => Promise.allSettled([check(role)]))).flat();
  const refused = roles.filter((_, index) => {
    const result = tried[index];
    return result?.status === 'fulfilled' && !result.value;
  });
  // Without an answer in time, the password is neither accepted nor refused.
  const failed = tried.find((result) => result.status === 'rejected');
  if (refused.length === 0) return failed && unchecked(failed.reason);
  const what = 'refuses the password of the encrypted file';
  const rotate = `run ${taskCommand('rotate-database-password')}`;
  if (refused.some(({ kind }) => kind === 'superuser')) return `${what}: ${rotate}`;
  const names = refused.map(({ name }) => name).join(', ');
  return `${what} for ${names}: ${rotate}, or ${taskCommand('install-app postgresql')} if the role is new`;
}

const unchecked = ({ message }: Error): string =>
  `its passwords cannot be checked: ${message.split('\n')[0]}`;
