import { TaskError, UsageError } from '@k8s-deployment/runner';
import { fewAtOnce } from '../ground/few-at-once.ts';
import { taskCommand } from '../ground/launcher.ts';
import { decryptText, secretsFile } from '../secrets/encrypted-file.ts';
import { decryptValue } from '../secrets/sops.ts';
import type { Context, DatabaseRoles, EnvironmentContext, Settings } from '../settings/context.ts';
import { type SecretKey, secretKey } from '../settings/secret-reference.ts';
import { serverIdentity } from './certificate.ts';

/**
 * Hashes, which `ALTER ROLE … PASSWORD` stores as they are (https://www.postgresql.org/docs/17/catalog-pg-authid.html).
 */
const hashForm = /^(?:md5[0-9a-f]{32}$|SCRAM-SHA-256\$[^$]*:[^$]*\$[^$]*:)/;

/** Why a password is unusable; undefined if it is fine. */
export function passwordProblem(password: string): string | undefined {
  if (password === '') return 'it is empty';
  // initdb reads one line, environment variables end at NUL, and other characters are invisible.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(password)) return 'it has a line break or another control character';
  return hashForm.test(password)
    ? 'it looks like a hash: PostgreSQL would store it as one, and nobody could log in with it'
    : undefined;
}

/** A role's password. Throws `TaskError` as `decryptValue` does, and for an unusable password. */
export async function decryptPassword(context: EnvironmentContext, { file, key }: SecretKey) {
  const { environment } = context;
  const password = await decryptValue(context, file, key);
  const problem = passwordProblem(password);
  if (problem === undefined) return password;
  throw new TaskError({
    what: `the value \`${key}\` of ${secretsFile(environment.name, file)} cannot be a password`,
    why: problem,
    advice: `write another one, on one line in quotes: ${taskCommand(`edit-secrets ${file}`)}; for an existing database, use ${taskCommand('rotate-database-password')}`,
  });
}

/** Advice if the server has another password than the SOPS file. */
export const passwordAdvice = (environment: string, { file }: SecretKey): string =>
  `run ${taskCommand('rotate-database-password')}, or restore the matching ${secretsFile(environment, file)} (git)`;

/** A role with its own password. */
export type LoginRole = {
  readonly name: string;
  readonly kind: 'superuser' | 'application' | 'issuer';
  readonly database: string;
  readonly secret: SecretKey;
};

/** The roles and where their passwords are; undefined for a role with logins from Vault. */
const rolesOf = (roles: DatabaseRoles) =>
  Object.entries(roles).flatMap(([name, role]) =>
    role === null ? [] : [{ name, secret: secretKey(role.password) }],
  );

const withPassword = (roles: DatabaseRoles) =>
  rolesOf(roles).flatMap(({ name, secret }) => (secret === undefined ? [] : [{ name, secret }]));

/** Names of the applications' databases. */
export const databasesOf = ({ database }: Settings) => rolesOf(database.applications).map(({ name }) => name);

/** Roles with passwords in SOPS, the superuser first. */
export function loginRoles({ database, releases }: Settings): readonly LoginRole[] {
  const { postgresql } = (releases ?? {}) as { readonly postgresql?: { readonly password?: string } };
  const superuser = secretKey(postgresql?.password ?? '');
  if (superuser === undefined) {
    throw new TaskError({
      what: 'expected setting `releases.postgresql.password` to be `sops://FILE#/KEY`',
      why: "the superuser's password is kept encrypted",
      advice: 'see environments/common.yaml',
    });
  }
  const { user, name: own, applications, issuers } = database;
  return [
    { name: user, kind: 'superuser', database: own, secret: superuser },
    ...withPassword(applications).map(
      (role) => ({ ...role, kind: 'application', database: role.name }) as const,
    ),
    ...withPassword(issuers).map((role) => ({ ...role, kind: 'issuer', database: own }) as const),
  ];
}

export const superuserOf = (settings: Settings): LoginRole => loginRoles(settings)[0] as LoginRole;

/** The superuser's login at any address. Throws `TaskError` as `decryptPassword` does. */
export const superuserLogin = (context: Context) => roleLogin(context, superuserOf(context.settings));

/** The same of a role. */
export async function roleLogin(context: Context, { name: user, database, secret }: LoginRole) {
  const [password, identity] = await Promise.all([decryptPassword(context, secret), serverIdentity(context)]);
  return { user, password, database, identity };
}

/** Roles for `all`, `superuser` or a name. Throws `UsageError` for any other word. */
export function selectRoles(roles: readonly LoginRole[], name: string): readonly LoginRole[] {
  const selected = roles.filter(
    (role) => name === 'all' || role.name === name || (name === 'superuser' && role.kind === 'superuser'),
  );
  if (selected.length > 0) return selected;
  const others = roles.filter(({ kind }) => kind !== 'superuser').map((role) => role.name);
  throw new UsageError({
    what: `unknown role \`${name}\``,
    why: `possible: all, superuser, ${others.join(', ')}; Vault issues the logins of other applications`,
    advice: 'use one of these for `[role]`',
  });
}

/**
 * Throws `TaskError` for the first unusable password; checks nothing for releases without passwords in their values.
 */
export async function checkPasswords(context: Context, releases?: readonly { readonly name: string }[]) {
  if (releases?.every(({ name }) => name !== 'devops' && name !== 'postgresql')) return;
  for (const { secret } of loginRoles(context.settings)) await decryptPassword(context, secret);
}

/** The desired roles and databases as JSON with passwords, as the chart `postgresql` renders it. */
export async function wantedRoles(context: Context): Promise<string> {
  const [, ...roles] = loginRoles(context.settings);
  const passwords = await fewAtOnce(roles, async ({ name, secret }) => {
    return [name, await decryptPassword(context, secret)] as const;
  });
  return wantedJson(context.settings, new Map(passwords));
}

/** A plain command that prints `wantedRoles`, for `--dry-run`. */
export function wantedRolesText(environment: string, settings: Settings): string {
  const [, ...roles] = loginRoles(settings);
  const text = wantedJson(settings, new Map(roles.map(({ name }) => [name, '%s'])));
  return [`printf '${text}'`, ...roles.map(({ secret }) => `"$(${decryptText(environment, secret)})"`)].join(
    ' ',
  );
}

/** With an empty password for applications with logins from Vault. */
function wantedJson({ database }: Settings, passwords: ReadonlyMap<string, string>): string {
  const form = (roles: DatabaseRoles) =>
    Object.fromEntries(rolesOf(roles).map(({ name }) => [name, { password: passwords.get(name) ?? '' }]));
  return JSON.stringify({ applications: form(database.applications), issuers: form(database.issuers) });
}
