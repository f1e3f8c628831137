import { isTree, type Tree, valueAt } from '../ground/tree.ts';
import type { Rule } from './rules.ts';
import { secretForm, secretKey } from './secret-reference.ts';

/** A role of PostgreSQL as a map of settings declares it. */
type Declared = { readonly path: readonly string[]; readonly name: string; readonly password: unknown };

const groups = ['applications', 'issuers'] as const;
const superuserPassword = ['releases', 'postgresql', 'password'];

/** An unquoted name of SQL, in small letters: it is the same in every statement. */
const sqlName = /^[a-z_][a-z0-9_]{0,62}$/;

/**
 * Names that PostgreSQL refuses for a role, or reads as another one where they stand without quotes; `streaming_replica` is
 * CloudNativePG's own (https://www.postgresql.org/docs/17/sql-createrole.html).
 */
const reserved = /^(?:pg_.*|public|none|user|current_user|current_role|session_user|streaming_replica)$/;

export const roleName = 'a name of a-z, 0-9 and `_` that PostgreSQL does not keep for itself';

export const isRoleName = (value: unknown): boolean =>
  typeof value === 'string' && sqlName.test(value) && !reserved.test(value);

const templates = ['template0', 'template1'];

export const databaseName = 'a name of a-z, 0-9 and `_`, and not that of a template';

export const isDatabaseName = (value: unknown): boolean =>
  typeof value === 'string' && sqlName.test(value) && !templates.includes(value);

const isSecret = (value: unknown): boolean => typeof value === 'string' && secretKey(value) !== undefined;

function declaredRoles(settings: Tree): readonly Declared[] {
  return groups.flatMap((group) => {
    const roles = valueAt(settings, ['database', group]);
    return Object.entries(isTree(roles) ? roles : {}).flatMap(([name, role]) =>
      role === null
        ? []
        : [{ path: ['database', group, name], name, password: isTree(role) ? role.password : undefined }],
    );
  });
}

/**
 * Rules for the roles of PostgreSQL. helmfile gives the passwords to charts, and the tasks log in with them: each role has one
 * secret, alone, and whoever logs in as the role names the same one.
 */
export function roleRules(settings: Tree): readonly Rule[] {
  const roles = declaredRoles(settings);
  const superuser = {
    path: ['database', 'user'],
    name: String(valueAt(settings, ['database', 'user'])),
    password: valueAt(settings, superuserPassword),
  };
  const rules: Rule[] = [[superuserPassword, secretForm, isSecret]];
  const before: Declared[] = [superuser];
  for (const role of roles) {
    const { path, name, password } = role;
    const maker = path[1] === 'issuers';
    const database = valueAt(settings, ['database', 'name']);
    const taken = [
      ...(maker ? [] : [database, ...templates]),
      // Every server has a database of this name, and CloudNativePG's servers a superuser.
      'postgres',
      ...before.map((other) => other.name),
    ];
    rules.push(
      [path, `a role with ${roleName}`, () => isRoleName(name)],
      [path, 'a role with a name that no other role or database has', () => !taken.includes(name)],
      [
        [...path, 'password'],
        maker ? secretForm : `${secretForm}, or empty`,
        () => isSecret(password) || (!maker && password === ''),
      ],
    );
    const same = before.find((other) => other.password !== '' && other.password === password);
    rules.push([
      [...path, 'password'],
      `a secret of its own, and not that of \`${same?.name}\``,
      () => same === undefined,
    ]);
    before.push(role);
  }
  return [...rules, ...loginRules(settings, before)];
}

/** The release devops writes Secrets with which pods log in as one of these roles. */
function loginRules(settings: Tree, roles: readonly Declared[]): readonly Rule[] {
  const path = ['releases', 'devops', 'databaseSecrets'];
  const secrets = valueAt(settings, path);
  return Object.entries(isTree(secrets) ? secrets : {}).flatMap(([name, secret]): Rule[] => {
    if (!isTree(secret)) return [];
    const role = roles.find((other) => other.name === secret.user);
    const elsewhere = ![
      undefined,
      '{{ .Values.database.host }}',
      valueAt(settings, ['database', 'host']),
    ].includes(secret.host as string | undefined);
    if (elsewhere) return [];
    if (role === undefined)
      return [[[...path, name, 'user'], 'a role of `database.applications`', () => false]];
    return [
      [
        [...path, name, 'password'],
        `the secret of the role \`${role.name}\`: ${role.password === '' ? 'it has none' : role.password}`,
        (value) => value === role.password,
      ],
    ];
  });
}
