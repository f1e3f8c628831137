import { TaskError } from '@k8s-deployment/runner';
import type {
  Application,
  DatabaseRole,
  DesiredState,
  KeyValues,
  Mount,
  Policy,
  Role,
} from './desired-state.ts';
import { type Complain, checkLongest, readStateFile, type StateFile } from './state-checks.ts';
import type { DeclaredState } from './state-schema.ts';

/** The first line of an application's policy, which stays when the application is removed from the state. */
const mark = /^# Of the application ([a-z0-9_-]+); written by init-vault\b/;

/** The application that a policy belongs to, by its text; undefined for a policy that others wrote. */
export const applicationOfPolicy = (text: string): string | undefined => mark.exec(text)?.[1];

const templateNames = ['policy', 'databasePolicy', 'create', 'renew', 'revoke'] as const;

/** `access` of state.yaml with the texts of its templates. */
type Access = DeclaredState['access'] & {
  readonly templates: { readonly [Name in (typeof templateNames)[number]]: StateFile };
};

/** The state with what `access` gives every entry of `applications`: a policy, roles and secrets. */
export async function withApplications(
  folder: string,
  state: DesiredState,
  { access: declared, applications }: DeclaredState,
  complain: Complain,
): Promise<DesiredState> {
  checkAccess(declared, state, complain);
  refuseDuplicates(state, applications, complain);
  const { policy, database } = declared;
  const files = { ...database, policy, databasePolicy: database.policy };
  const templates = await Promise.all(
    templateNames.map(async (name) => [name, await readStateFile(folder, files[name])] as const),
  );
  const access = { ...declared, templates: Object.fromEntries(templates) as Access['templates'] };
  return {
    ...state,
    policies: [...state.policies, ...applications.map((application) => policyOf(application, access))],
    keyValues: applications.flatMap((application) => keyValuesOf(application, access)),
    auth: state.auth.map((mount) =>
      mount.path === access.auth
        ? {
            ...mount,
            roles: [...mount.roles, ...applications.map((application) => roleOf(application, access))],
          }
        : mount,
    ),
    mounts: state.mounts.map((mount) =>
      mount.path === database.mount
        ? { ...mount, logins: applications.flatMap((application) => loginsOf(application, access)) }
        : mount,
    ),
  };
}

function checkAccess(
  access: DeclaredState['access'],
  { mounts, auth }: DesiredState,
  complain: Complain,
): void {
  const { database } = access;
  const mountAt = (wanted: string): Mount | undefined => mounts.find(({ path }) => path === wanted);
  const engine = mountAt(database.mount);
  if (engine?.type !== 'database')
    throw complain(['access', 'database', 'mount'], 'is not a database engine of `mounts`');
  if (!engine.connections.some(({ name }) => name === database.connection))
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

function policyOf(application: Application, access: Access): Policy {
  const { policy, databasePolicy } = access.templates;
  const templates = application.database === undefined ? [policy] : [policy, databasePolicy];
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

const roleOf = ({ backend, namespace }: Application, access: Access): Role => ({
  name: backend,
  serviceAccounts: [backend],
  namespaces: [namespace],
  audience: access.audience,
  policies: [backend],
  ttl: access.tokenTtl,
});

function loginsOf(application: Application, { database, templates }: Access): DatabaseRole[] {
  if (application.database === undefined) return [];
  const statements = (template: StateFile) => statementsOf(fill(template, valuesOf(application)));
  return [
    {
      name: application.backend,
      connection: database.connection,
      create: statements(templates.create),
      renew: statements(templates.renew),
      revoke: statements(templates.revoke),
      ttl: database.ttl,
      maxTtl: database.maxTtl,
    },
  ];
}

const keyValuesOf = ({ name: application, secrets }: Application, access: Access): KeyValues[] =>
  Object.entries(secrets).map(([path, values]) => ({
    mount: access.secrets,
    path: `${application}/${path}`,
    values: Object.entries(values).map(([name, from]) => ({ name, from })),
  }));

/** Refuses a name that is used twice: the objects would overwrite each other in every run. */
function refuseDuplicates(
  { operator, policies, auth }: DesiredState,
  applications: readonly Application[],
  complain: Complain,
): void {
  const others = [operator.policy, ...policies, ...auth.flatMap(({ roles }) => roles)];
  const taken = new Set(others.map(({ name }) => name));
  for (const { name, backend } of applications) {
    if (taken.has(backend))
      throw complain(['applications', name, 'backend'], `is \`${backend}\`, which is already taken`);
    taken.add(backend);
  }
}

/** A template with each `${name}` filled in. Throws `TaskError` for an unknown name. */
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

/** The statements of an SQL file without comments, where Vault would split at a `;`. */
function statementsOf(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
    .filter((statement) => statement !== '');
}
