import { join } from 'node:path';
import { TaskError } from '../../runner/runner.ts';
import type { Fields } from './fields.ts';
import type { AuthMount, DesiredState, KeyValues, LoginRole, Mount, Policy, Role } from './state.ts';
import { readText } from './state-files.ts';
import { reference } from './state-sections.ts';

/** An application that gets its secrets from Vault. */
export type Application = {
  readonly name: string;
  /** Its backend: the ServiceAccount that logs in, and the name of the policy and of the roles. */
  readonly backend: string;
  readonly namespace: string;
  /** Its database, which the role of the same name owns; undefined when it has none. */
  readonly database: string | undefined;
};

/** By its first line a policy is known to be an application's, also when the application is declared no more. */
const mark = /^# Of the application ([a-z0-9_-]+); written by init-vault\b/;

/** The application that a policy's text belongs to; undefined for a policy that somebody else wrote. */
export const applicationOfPolicy = (text: string): string | undefined => mark.exec(text)?.[1];

type Access = {
  readonly auth: string;
  readonly audience: string;
  readonly tokenTtlSeconds: number;
  readonly secrets: string;
  readonly policy: Template;
  readonly database: {
    readonly mount: string;
    readonly connection: string;
    readonly policy: Template;
    readonly create: Template;
    readonly renew: Template;
    readonly revoke: Template;
    readonly ttlSeconds: number;
    readonly maxTtlSeconds: number;
  };
};

type Template = { readonly file: string; readonly text: string };

/** The declared state with what every entry of `applications` gets by `access`: a policy, roles and secrets. */
export async function loadApplications(
  folder: string,
  root: Fields,
  declared: DesiredState,
): Promise<DesiredState> {
  const access = await accessOf(folder, root, declared);
  const entries = root.entries('applications').map(([name, value]) => {
    const fields = root.child(`applications.${name}`, value, ['backend', 'namespace', 'database', 'secrets']);
    const application = {
      name,
      backend: fields.name('backend'),
      namespace: fields.name('namespace'),
      database: fields.has('database') ? fields.name('database') : undefined,
    };
    return { application, secrets: secretsOf(application, fields, root, access) };
  });
  const applications = entries.map(({ application }) => application);
  refuseTwice(root, declared, applications);
  return {
    ...declared,
    applications,
    policies: [...declared.policies, ...applications.map((application) => policyOf(application, access))],
    keyValues: entries.flatMap(({ secrets }) => secrets),
    auth: declared.auth.map((mount): AuthMount => {
      if (mount.path !== access.auth) return mount;
      return {
        ...mount,
        roles: [...mount.roles, ...applications.map((application) => roleOf(application, access))],
      };
    }),
    mounts: declared.mounts.map((mount): Mount => {
      if (mount.path !== access.database.mount) return mount;
      return { ...mount, logins: applications.flatMap((application) => loginsOf(application, access)) };
    }),
  };
}

async function accessOf(folder: string, root: Fields, declared: DesiredState): Promise<Access> {
  const fields = root.section('access', ['auth', 'audience', 'tokenTtl', 'secrets', 'policy', 'database']);
  const database = root.child('access.database', fields.value('database'), [
    'mount',
    'connection',
    'policy',
    'create',
    'renew',
    'revoke',
    'ttl',
    'maxTtl',
  ]);
  const template = async (from: Fields, key: string): Promise<Template> => {
    const file = join(folder, from.text(key));
    return { file, text: await readText(file) };
  };
  const engine = declared.mounts.find(({ path }) => path === database.text('mount'));
  if (engine?.type !== 'database') throw database.problem('mount', 'is no database engine of `mounts`');
  if (!engine.connections.some(({ name }) => name === database.text('connection')))
    throw database.problem('connection', `is no connection of \`mounts.${engine.path}\``);
  const method = declared.auth.find(({ path }) => path === fields.text('auth'));
  if (method === undefined) throw fields.problem('auth', 'is no method of `auth`');
  if (declared.mounts.find(({ path }) => path === fields.text('secrets'))?.type !== 'kv')
    throw fields.problem('secrets', 'is no kv engine of `mounts`');
  const maxTtlSeconds = database.secondsUpTo(engine.maxTtlSeconds, `mounts.${engine.path}.maxTtl`, 'maxTtl');
  return {
    auth: method.path,
    audience: fields.text('audience'),
    tokenTtlSeconds: fields.secondsUpTo(method.maxTtlSeconds, `auth.${method.path}.maxTtl`, 'tokenTtl'),
    secrets: fields.text('secrets'),
    policy: await template(fields, 'policy'),
    database: {
      mount: database.text('mount'),
      connection: database.text('connection'),
      policy: await template(database, 'policy'),
      create: await template(database, 'create'),
      renew: await template(database, 'renew'),
      revoke: await template(database, 'revoke'),
      ttlSeconds: database.secondsUpTo(maxTtlSeconds, 'access.database.maxTtl', 'ttl'),
      maxTtlSeconds,
    },
  };
}

const valuesOf = ({ name, backend, database }: Application) => ({
  application: name,
  backend,
  ...(database === undefined ? {} : { database }),
});

function policyOf(application: Application, access: Access): Policy {
  const templates = [access.policy, ...(application.database === undefined ? [] : [access.database.policy])];
  const values = valuesOf(application);
  const text = templates.map((template) => fill(template, values)).join('');
  if (applicationOfPolicy(text) === application.name)
    return { name: application.backend, files: templates.map(({ file }) => file), values, text };
  throw new TaskError({
    what: `${access.policy.file} does not begin as it has to`,
    why: 'by its first line init-vault recognises the policies of applications that are declared no more',
    advice: `begin with: # Of the application \${application}; written by init-vault`,
  });
}

const roleOf = ({ backend, namespace }: Application, access: Access): Role => ({
  name: backend,
  serviceAccounts: [backend],
  namespaces: [namespace],
  audience: access.audience,
  policies: [backend],
  ttlSeconds: access.tokenTtlSeconds,
});

function loginsOf(application: Application, { database }: Access): LoginRole[] {
  if (application.database === undefined) return [];
  const statements = (template: Template) => statementsOf(fill(template, valuesOf(application)));
  return [
    {
      name: application.backend,
      connection: database.connection,
      create: statements(database.create),
      renew: statements(database.renew),
      revoke: statements(database.revoke),
      ttlSeconds: database.ttlSeconds,
      maxTtlSeconds: database.maxTtlSeconds,
    },
  ];
}

function secretsOf(application: Application, fields: Fields, root: Fields, access: Access): KeyValues[] {
  return fields.entries('secrets').map(([path, value]) => {
    const place = `applications.${application.name}.secrets.${path}`;
    const values = root.child(place, value).entries();
    return {
      mount: access.secrets,
      path: `${application.name}/${path}`,
      values: values.map(([name, from]) => ({ name, from: reference(`${place}.${name}`, from, root) })),
    };
  });
}

/** Two of a name would overwrite each other in every run. */
function refuseTwice(root: Fields, declared: DesiredState, applications: readonly Application[]): void {
  const taken = new Set(
    [declared.operator.policy, ...declared.policies, ...declared.auth.flatMap(({ roles }) => roles)].map(
      ({ name }) => name,
    ),
  );
  for (const { name, backend } of applications) {
    if (taken.has(backend))
      throw root.problem(`applications.${name}.backend`, `is \`${backend}\`, which is taken already`);
    taken.add(backend);
  }
}

/** `${name}` filled in. Throws `TaskError` for a name that there is not. */
function fill({ file, text }: Template, values: { readonly [name: string]: string }): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value !== undefined) return value;
    throw new TaskError({
      what: `${file} asks for \${${name}}, which there is not`,
      advice: `there are: ${Object.keys(values).join(', ')}`,
    });
  });
}

/** The statements of an SQL file without its comments: Vault would take a `;` in one for the end of a statement. */
function statementsOf(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
    .filter((statement) => statement !== '');
}
