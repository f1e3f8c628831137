import { TaskError } from '@k8s-deployment/runner';
import type { Application, DatabaseRole, KeyValues, Policy } from './desired-state.ts';
import { type Complain, checkLongest, readStateFile, type StateFile } from './state-checks.ts';
import type { DeclaredState } from './state-schema.ts';

/** First line of an application's policy, which outlives the application's removal from the state. */
const mark = /^# Of the application ([a-z0-9_-]+); written by init-vault\b/;

/** The application that a policy's text belongs to; undefined for policies of others. */
export const applicationOfPolicy = (text: string): string | undefined => mark.exec(text)?.[1];

/** What `access` gives each of the `applications`: a policy, roles and secrets. `fixed` has all policies of files. */
export async function objectsOfApplications(
  folder: string,
  declared: DeclaredState,
  fixed: readonly Policy[],
  complain: Complain,
) {
  const { access, applications } = declared;
  checkAccess(declared, complain);
  refuseDuplicates(declared, fixed, complain);
  const { database } = access;
  const file = (name: string) => readStateFile(folder, name);
  const policies = await Promise.all([file(access.policy), file(database.policy)]);
  const [create, renew, revoke] = await Promise.all([
    file(database.create),
    file(database.renew),
    file(database.revoke),
  ]);
  return {
    policies: applications.map((application) => policyOf(application, policies)),
    keyValues: applications.flatMap((application) => keyValuesOf(application, access.secrets)),
    roles: applications.map(({ backend, namespace }) => ({
      ...{ name: backend, serviceAccounts: [backend], namespaces: [namespace], policies: [backend] },
      ...{ audience: access.audience, ttl: access.tokenTtl },
    })),
    logins: applications
      .filter((application) => application.database !== undefined)
      .map((application): DatabaseRole => {
        const statements = (template: StateFile) => vaultStatements(fill(template, valuesOf(application)));
        const { backend: name } = application;
        return {
          ...{ name, path: `${database.mount}/roles/${name}` },
          values: {
            db_name: database.connection,
            creation_statements: statements(create),
            renew_statements: statements(renew),
            revocation_statements: statements(revoke),
            default_ttl: database.ttl,
            max_ttl: database.maxTtl,
          },
        };
      }),
  };
}

function checkAccess({ access, mounts, auth }: DeclaredState, complain: Complain) {
  const { database } = access;
  const mountAt = (wanted: string) => mounts.find(({ path }) => path === wanted);
  const engine = mountAt(database.mount);
  if (engine?.type !== 'database')
    throw complain(['access', 'database', 'mount'], 'is not a database engine of `mounts`');
  if (!engine.connections?.some(({ name }) => name === database.connection))
    throw complain(['access', 'database', 'connection'], `is not a connection of \`mounts.${engine.path}\``);
  const method = auth.find(({ path }) => path === access.auth);
  if (method === undefined) throw complain(['access', 'auth'], 'is not a method of `auth`');
  if (mountAt(access.secrets)?.type !== 'kv')
    throw complain(['access', 'secrets'], 'is not a kv engine of `mounts`');
  for (const [path, seconds, bound, longest] of [
    ['access.database.maxTtl', database.maxTtl, `mounts.${engine.path}.maxTtl`, engine.maxTtl],
    ['access.tokenTtl', access.tokenTtl, `auth.${method.path}.maxTtl`, method.maxTtl],
    ['access.database.ttl', database.ttl, 'access.database.maxTtl', database.maxTtl],
  ] as const)
    checkLongest(path.split('.'), seconds, bound, longest, complain);
}

const valuesOf = ({ name, backend, database }: Application) => ({
  application: name,
  backend,
  ...(database === undefined ? {} : { database }),
});

function policyOf(application: Application, [policy, ofDatabase]: [StateFile, StateFile]): Policy {
  const templates = application.database === undefined ? [policy] : [policy, ofDatabase];
  const values = valuesOf(application);
  const text = templates.map((template) => fill(template, values)).join('');
  if (applicationOfPolicy(text) === application.name)
    return { name: application.backend, files: templates.map(({ file }) => file), values, text };
  throw new TaskError({
    what: `${policy.file} lacks its first line`,
    why: 'init-vault recognises the policies of removed applications by it',
    advice: `begin with: # Of the application \${application}; written by init-vault`,
  });
}

const keyValuesOf = ({ name: application, secrets }: Application, mount: string): KeyValues[] =>
  Object.entries(secrets).map(([path, values]) => ({
    mount,
    path: `${application}/${path}`,
    values: Object.entries(values).map(([name, from]) => ({ name, from })),
  }));

/** Throws for a name that is used twice: each run would overwrite one object with the other. */
function refuseDuplicates(
  { applications, auth }: DeclaredState,
  policies: readonly Policy[],
  complain: Complain,
): void {
  const taken = new Set([...policies, ...auth.flatMap(({ roles }) => roles)].map(({ name }) => name));
  for (const { name, backend } of applications) {
    if (taken.has(backend))
      throw complain(['applications', name, 'backend'], `is \`${backend}\`, which is already taken`);
    taken.add(backend);
  }
}

/** Fills each `${name}` of a template. Throws `TaskError` for an unknown name. */
function fill({ file, text }: StateFile, values: { readonly [name: string]: string }): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value !== undefined) return value;
    throw new TaskError({
      what: `${file} uses \${${name}}, which is unknown`,
      advice: `known: ${Object.keys(values).join(', ')}`,
    });
  });
}

/** Statements of an SQL file, without comments: Vault would split them at a `;`. */
function vaultStatements(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
    .filter((statement) => statement !== '');
}
