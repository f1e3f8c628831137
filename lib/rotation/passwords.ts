import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin, isRefusedStatement, type Login, withSuperuser } from '../database/login.ts';
import { type LoginRole, roleLogin, wantedRoles } from '../database/roles.ts';
import { type EachLogin, setUpDatabases } from '../database/set-up.ts';
import { taskCommand } from '../ground/launcher.ts';
import { kubectlList } from '../kubernetes/kubectl.ts';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { decryptValue } from '../secrets/sops.ts';
import type { Context, Environment, EnvironmentContext } from '../settings/context.ts';
import { readStateFile, writeStateFile } from '../settings/environment.ts';

/** Old and new passwords of each role with an unfinished rotation. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const rotationFile = 'database-rotation.json';

/** The unfinished rotation of an earlier run, empty if there is none. Throws `TaskError` if it is unreadable. */
export const readRotation = async (environment: Pick<Environment, 'name' | 'state'>): Promise<Rotation> =>
  (await readStateFile<Rotation>(environment, rotationFile, {
    what: ' is damaged',
    isWhole: (begun) => typeof begun === 'object' && begun !== null,
    why: 'it has the passwords of an unfinished rotation',
    advice: `keep a copy: the server may accept no other passwords. If ${taskCommand('status')} reports none as refused, move it away`,
  })) ?? {};

/** Keeps an unfinished rotation for the next run; an empty one is finished. */
export const keepRotation = (environment: Pick<Environment, 'state'>, rotation: Rotation): Promise<void> =>
  Object.keys(rotation).length === 0
    ? rm(join(environment.state, rotationFile), { force: true })
    : writeStateFile(environment, rotationFile, rotation);

/**
 * Throws `TaskError` if the server refuses the encrypted password of one of these roles, which are not rotated: Vault
 * and the releases are given the passwords of all roles, as the file has them.
 */
export async function checkOthers(context: Context, others: readonly LoginRole[]): Promise<void> {
  const refused: string[] = [];
  try {
    for (const role of others) {
      const login = await roleLogin(context, role);
      if (!(await withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }))))
        refused.push(role.name);
    }
  } catch (error) {
    throw notChanged(error);
  }
  if (refused.length === 0) return;
  throw new TaskError({
    what: `the database refuses the encrypted password of ${refused.join(', ')}`,
    why: 'it was rotated elsewhere, or the file is of another commit; nothing was changed',
    advice: `get the newest file (git pull), or rotate all: ${taskCommand('rotate-database-password')}; ${taskCommand('install-app postgresql')} creates a new role`,
  });
}

/**
 * Changes the passwords in PostgreSQL, the superuser's last, since its old one is needed to repeat the rest. Calls
 * `onChange` as soon as a password may have changed.
 */
export async function replaceInServer(
  context: Context,
  roles: readonly LoginRole[],
  rotation: Rotation,
  onChange: () => void,
): Promise<void> {
  const superuser = roles[0] as LoginRole;
  try {
    const login = await superuserLogin(context, superuser, rotation);
    const each: EachLogin = (use) => withPostgresql(context, (address) => use({ ...login, ...address }));
    for (const role of [...roles.slice(1), superuser]) {
      const pair = rotation[role.name];
      if (pair === undefined) continue;
      const isLost = await each((at) =>
        setPassword(at, role.name, pair.new).catch((error: { readonly code?: string }) => {
          // After a time-out, for one, the server may still change it.
          if (error.code === lostRole || !isRefusedStatement(error)) onChange();
          if (error.code === lostRole) return true;
          throw error;
        }),
      );
      if (isLost) await setUpDatabases(each, await wantedRoles(context));
      onChange();
    }
  } catch (error) {
    throw notChanged(error);
  }
}

/** The server's code for a role that somebody dropped; the set-up creates it with its rights. */
export const lostRole = '42704';

const notChanged = (error: unknown): TaskError =>
  error instanceof TaskError
    ? error
    : new TaskError({
        what: 'the passwords could not be changed in the database',
        why: (error as Error).message,
        advice: `check it with ${taskCommand('status')}; ${taskCommand('install-app postgresql')} creates its roles. Then run again`,
        cause: error,
      });

/** A superuser login with the first known password that the server accepts. */
async function superuserLogin(context: Context, superuser: LoginRole, rotation: Rotation) {
  const { name: user, database, secret } = superuser;
  const pair = rotation[user];
  const identity = await serverIdentity(context);
  const candidates = [
    async () => pair?.old,
    async () => pair?.new,
    () => decryptValue(context, secret.file, secret.key),
    // The encrypted file may have changed since the last install.
    () => installedPassword(context),
  ];
  for (const candidate of candidates) {
    const password = await candidate();
    if (password === undefined) continue;
    const login = { user, password, database, identity };
    if (await withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }))) return login;
  }
  throw new TaskError({
    what: `the database refuses every known password of \`${user}\``,
    why: 'neither that of the encrypted file nor that of the last install is right',
    advice: `restore the right version of ${secretsFile(context.environment.name, secret.file)} (git), then run again`,
  });
}

/** Changes a role's password. Rejects if the role does not exist or `login` may not change it. */
export async function setPassword(login: Login, role: string, password: string): Promise<void> {
  await withSuperuser(login, async (query) => {
    const format = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text) AS sql";
    const [statement] = await query(format, [role, password]);
    await query(String(statement?.sql));
  });
}

/** The superuser's password in the release's Secret, as last installed; undefined if there is none. */
export async function installedPassword(context: EnvironmentContext): Promise<string | undefined> {
  type Secret = { readonly data?: { readonly password?: string } };
  // As a list, which is empty if the Secret does not exist.
  const name = 'metadata.name=postgresql-superuser';
  const words = ['get', 'secrets', '-n', 'database', '--field-selector', name] as const;
  const [secret] = await kubectlList<Secret>(context, ...words);
  const encoded = secret?.data?.password;
  if (encoded === undefined) return undefined;
  const password = Buffer.from(encoded, 'base64').toString();
  context.secret(password);
  return password;
}
