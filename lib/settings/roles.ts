import type { Problem } from '../ground/schema.ts';
import { isTree, valueAt } from '../ground/tree.ts';
import type { Settings } from './schema.ts';

/** A PostgreSQL role and its place in the settings. */
type Role = { readonly path: readonly string[]; readonly name: string; readonly password: string };

const groups = ['applications', 'issuers'] as const;

const declaredRoles = ({ database }: Settings): readonly Role[] =>
  groups.flatMap((group) =>
    Object.entries(database[group]).flatMap(([name, role]) =>
      role === null ? [] : [{ path: ['database', group, name], name, password: role.password }],
    ),
  );

/**
 * Problems with PostgreSQL's roles. helmfile passes their passwords to charts and the tasks log in with them: each
 * role needs its own secret, and every login as the role must use it.
 */
export function* roleProblems(settings: Settings): Generator<Problem> {
  const { user, name: database } = settings.database;
  const before: Role[] = [
    { path: ['database', 'user'], name: user, password: settings.releases.postgresql.password },
  ];
  for (const role of declaredRoles(settings)) {
    const { path, name, password } = role;
    // Each application has a database of its name. Every server has the database postgres, and CloudNativePG a
    // superuser postgres.
    const databases = path[1] === 'applications' ? [database, 'template0', 'template1'] : [];
    if (['postgres', ...databases, ...before.map((other) => other.name)].includes(name))
      yield { path, rule: 'a role with a name that no other role or database has' };
    const same = before.find((other) => other.password !== '' && other.password === password);
    if (same !== undefined)
      yield { path: [...path, 'password'], rule: `a secret of its own, and not that of \`${same.name}\`` };
    before.push(role);
  }
  yield* loginProblems(settings, before);
}

/** Problems with the logins in Secrets of the release devops. */
function* loginProblems(settings: Settings, roles: readonly Role[]): Generator<Problem> {
  const path = ['releases', 'devops', 'databaseSecrets'];
  const secrets = valueAt(settings, path);
  const here = [undefined, '{{ .Values.database.host }}', settings.database.host];
  for (const [name, secret] of Object.entries(isTree(secrets) ? secrets : {})) {
    if (!isTree(secret) || !here.includes(secret.host as string | undefined)) continue;
    const role = roles.find((other) => other.name === secret.user);
    if (role === undefined)
      yield { path: [...path, name, 'user'], rule: 'a role of `database.applications`' };
    else if (secret.password !== role.password)
      yield {
        path: [...path, name, 'password'],
        rule: `the secret of the role \`${role.name}\`: ${role.password || 'it has none'}`,
      };
  }
}
