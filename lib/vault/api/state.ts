import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { namesEnding } from '../../ground/file-names.ts';
import { checkLineEnds } from '../../ground/files.ts';
import { read } from '../../ground/schema.ts';
import { readStrictYaml } from '../../ground/strict-yaml.ts';
import { type DeclaredState, type DesiredState, type Policy, stateSchema } from './state-schema.ts';

/**
 * Reads `<folder>/state.yaml` with its policies and statements. Throws `TaskError` with file and key for anything
 * unknown, missing, mistyped, or naming something that does not exist.
 */
export async function loadDesiredState(folder: string): Promise<DesiredState> {
  const { file, text } = await readStateFile(folder, 'state.yaml');
  const { value, lineOf } = await readStrictYaml(text, file);
  const place = (path: readonly string[]) => `\`${path.join('.')}\` in ${file}:${lineOf(path)}`;
  // Never shows a value, which may be a password.
  const complaint = (path: readonly string[], problem: string) =>
    new TaskError({ what: `${path.length === 0 ? file : place(path)} ${problem}` });
  const found = read(stateSchema, value);
  if ('problem' in found) {
    const { path, rule, isUnknown } = found.problem;
    throw isUnknown
      ? new TaskError({ what: `unknown key ${place(path)}`, advice: rule })
      : complaint(path, `must be ${rule}`);
  }
  const declared = found.output;
  const files = await readPolicies(folder);
  const [problem] = problemsOf(declared, files);
  if (problem !== undefined) throw complaint(...problem);
  const { policy: name, period } = declared.operator;
  const policy = files.find((other) => other.name === name);
  if (policy === undefined) throw complaint(['operator', 'policy'], 'names no file of policies/');
  const { access, audit } = declared;
  const applications = await objectsOfApplications(folder, declared);
  return {
    operator: { policy, period },
    audit,
    mounts: declared.mounts.map(({ keys = [], connections = [], ...mount }) => ({
      ...{ ...mount, keys, connections },
      logins: mount.path === access.database.mount ? applications.flatMap(({ logins }) => logins) : [],
    })),
    auth: declared.auth.map(({ roles, ...mount }) => ({
      ...mount,
      roles: mount.path === access.auth ? [...roles, ...applications.map(({ role }) => role)] : roles,
    })),
    policies: [...files.filter((other) => other !== policy), ...applications.map(({ policy }) => policy)],
    keyValues: applications.flatMap(({ keyValues }) => keyValues),
  };
}

async function readPolicies(folder: string): Promise<Policy[]> {
  const path = join(folder, 'policies');
  const names = await readdir(path).catch((error: unknown) => {
    throw unreadable(join(basename(folder), 'policies'), error);
  });
  return Promise.all(
    namesEnding(path, names, '.hcl').map(async (name) => {
      const { file, text } = await readStateFile(folder, join('policies', name));
      return { name: name.slice(0, -'.hcl'.length), files: [file], text };
    }),
  );
}

type StateFile = {
  /** Path relative to the project: `vault/policies/vso.hcl`. */
  readonly file: string;
  readonly text: string;
};

/** Reads a file of the desired state. Throws `TaskError` that names it, also for Windows line ends. */
async function readStateFile(folder: string, name: string): Promise<StateFile> {
  const file = join(basename(folder), name);
  const text = await readFile(join(folder, name), 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  checkLineEnds([{ path: file, text }]);
  return { file, text };
}

const unreadable = (path: string, error: unknown): TaskError =>
  new TaskError({
    what: `the desired state of Vault cannot be read: ${path}`,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });

/** Keys allowed for one type of engine only. */
const onlyOf = { version: 'kv', keys: 'transit', connections: 'database' } as const;

/** What the schema allows but Vault would refuse, shorten or overwrite: each with its path of keys. */
function* problemsOf(
  { access, applications, auth, mounts }: DeclaredState,
  policies: readonly Policy[],
): Generator<readonly [path: readonly string[], problem: string]> {
  for (const mount of mounts) {
    const { path, type, version } = mount;
    for (const [key, only] of Object.entries(onlyOf))
      if (type !== only && mount[key as keyof typeof onlyOf] !== undefined)
        yield [['mounts', path, key], `is only possible with type ${only}`];
    if (type === 'kv' && version === undefined)
      yield [['mounts', path, 'version'], 'must be 2, the only one supported'];
  }
  const roles = auth.flatMap(({ path, maxTtl, roles }) =>
    roles.map((role) => ({ ...role, place: ['auth', path, 'roles', role.name], path, maxTtl })),
  );
  const taken = new Set(policies.map(({ name }) => name));
  for (const { place, policies: names } of roles)
    for (const name of names.filter((name) => !taken.has(name)))
      yield [[...place, 'policies'], `names \`${name}\`, but there is no policies/${name}.hcl for it`];
  const { database } = access;
  const mountAt = (wanted: string) => mounts.find(({ path }) => path === wanted);
  const engine = mountAt(database.mount);
  if (engine?.type !== 'database')
    yield [['access', 'database', 'mount'], 'is not a database engine of `mounts`'];
  if (!engine?.connections?.some(({ name }) => name === database.connection))
    yield [['access', 'database', 'connection'], `is not a connection of \`mounts.${database.mount}\``];
  const method = auth.find(({ path }) => path === access.auth);
  if (method === undefined) yield [['access', 'auth'], 'is not a method of `auth`'];
  if (mountAt(access.secrets)?.type !== 'kv') yield [['access', 'secrets'], 'is not a kv engine of `mounts`'];
  for (const [path, seconds, bound, longest = Number.POSITIVE_INFINITY] of [
    ...roles.map(({ place, ttl, path, maxTtl }) => [[...place, 'ttl'], ttl, `auth.${path}`, maxTtl] as const),
    [['access', 'database', 'maxTtl'], database.maxTtl, `mounts.${database.mount}`, engine?.maxTtl],
    [['access', 'tokenTtl'], access.tokenTtl, `auth.${access.auth}`, method?.maxTtl],
    [['access', 'database', 'ttl'], database.ttl, 'access.database', database.maxTtl],
  ] as const)
    if (seconds > longest) yield [path, `must not be longer than \`${bound}.maxTtl\``];
  for (const { name } of roles) taken.add(name);
  for (const { name, backend } of applications) {
    if (taken.has(backend))
      yield [['applications', name, 'backend'], `is \`${backend}\`, which is already taken`];
    taken.add(backend);
  }
}

/** First line of an application's policy, which outlives the application's removal from the state. */
const mark = /^# Of the application ([a-z0-9_-]+); written by init-vault\b/;

/** The application that a policy's text belongs to; undefined for policies of others. */
export const applicationOfPolicy = (text: string): string | undefined => mark.exec(text)?.[1];

/** What `access` gives each of the applications. */
async function objectsOfApplications(folder: string, { access, applications }: DeclaredState) {
  const file = (name: string) => readStateFile(folder, name);
  const policy = await file(access.policy);
  const ofDatabase = await file(access.database.policy);
  const create = await file(access.database.create);
  const renew = await file(access.database.renew);
  const revoke = await file(access.database.revoke);
  return applications.map(({ name, backend, namespace, database, secrets }) => {
    const values = { application: name, backend, ...(database === undefined ? {} : { database }) };
    const templates = database === undefined ? [policy] : [policy, ofDatabase];
    const text = templates.map((template) => fill(template, values)).join('');
    if (applicationOfPolicy(text) !== name)
      throw new TaskError({
        what: `${policy.file} lacks its first line`,
        why: 'init-vault recognises the policies of removed applications by it',
        advice: `begin with: # Of the application \${application}; written by init-vault`,
      });
    const login = () => ({
      ...{ name: backend, path: `${access.database.mount}/roles/${backend}` },
      values: {
        db_name: access.database.connection,
        creation_statements: vaultStatements(fill(create, values)),
        renew_statements: vaultStatements(fill(renew, values)),
        revocation_statements: vaultStatements(fill(revoke, values)),
        default_ttl: access.database.ttl,
        max_ttl: access.database.maxTtl,
      },
    });
    return {
      policy: { name: backend, files: templates.map(({ file }) => file), values, text },
      role: {
        ...{ name: backend, serviceAccounts: [backend], namespaces: [namespace], policies: [backend] },
        ...{ audience: access.audience, ttl: access.tokenTtl },
      },
      keyValues: Object.entries(secrets).map(([path, values]) => ({
        ...{ mount: access.secrets, path: `${name}/${path}` },
        values: Object.entries(values).map(([name, from]) => ({ name, from })),
      })),
      logins: database === undefined ? [] : [login()],
    };
  });
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
