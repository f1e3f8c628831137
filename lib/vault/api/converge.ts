import { TaskError } from '@k8s-deployment/runner';
import type { Tree } from '../../ground/tree.ts';
import { type JsonObject, objectOf, type VaultClient } from './client.ts';
import { checkLogin, connectionObject, kubernetesConfig, roleOf } from './connections.ts';
import { keyValuesObject, type Sources, settingText } from './key-values.ts';
import { applicationOfPolicy } from './state.ts';
import type { AuthMount, DesiredState, Mount, Policy } from './state-schema.ts';
import { differenceOf, type VaultObject, writtenObject } from './vault-object.ts';

export type ConvergeInput = {
  /** Its token may manage the whole desired state. */
  readonly client: VaultClient;
  readonly state: DesiredState;
  readonly sources: Sources;
  readonly signal?: AbortSignal;
  /** Called for each object once it is converged. */
  readonly onChange: (change: VaultChange) => void;
};

export type VaultChange = {
  readonly kind: VaultObject['kind'];
  readonly path: string;
  /** "missing", or the names of what differed, never a value; undefined if nothing was written. */
  readonly difference: string | undefined;
};

/**
 * Brings Vault to the desired state: reads each object, writes what differs, and reads it again. A second run changes
 * nothing. Leaves other objects alone, except those of applications that were removed from the state. Stops at the
 * first error (`TaskError`); the next run continues there.
 */
export async function convergeVault(input: ConvergeInput): Promise<void> {
  const { client, state, sources } = input;
  for (const connection of state.mounts.flatMap(({ connections }) => connections))
    checkLogin(connection, sources.settings);
  await convergeAll(allObjects(input), input);
  // Ending their logins needs the connection to the database, which a restored Vault has of an earlier one.
  await convergeAll(await removedApplications(client, state), input);
}

/** Converges objects one after another and reports each. */
export async function convergeAll(
  objects: Iterable<VaultObject> | AsyncIterable<VaultObject>,
  { signal, onChange }: Pick<ConvergeInput, 'signal' | 'onChange'>,
): Promise<void> {
  for await (const object of objects) {
    signal?.throwIfAborted();
    onChange(await converge(object));
  }
}

/** A change as a line of the log: `changed   secret kv/app1/database (DB_PASSWORD)`. */
export const formatChange = ({ kind, path, difference }: VaultChange): string =>
  difference === undefined ? `unchanged ${kind} ${path}` : `changed   ${kind} ${path} (${difference})`;

async function converge(object: VaultObject): Promise<VaultChange> {
  const { kind, path } = object;
  const difference = await differenceOf(object);
  if (difference === undefined) return { kind, path, difference };
  await object.write(difference !== 'missing');
  const left = await differenceOf(object);
  // If Vault stores a value in another form, every run would write it again.
  if (left !== undefined) {
    throw new TaskError({
      what: `Vault accepted the ${kind} ${path}, but it still differs from the desired state`,
      why: left,
      advice: 'check that nothing else changes it at the same time',
    });
  }
  return { kind, path, difference };
}

/** All objects in the order of their needs: the audit log first, objects that need another server last. */
async function* allObjects({ client, state, sources, signal }: ConvergeInput): AsyncGenerator<VaultObject> {
  yield* structuralObjects(client, state, sources.settings);
  for (const secret of state.keyValues) yield keyValuesObject(client, secret, sources, signal);
  for (const mount of state.auth) yield kubernetesConfig(client, mount, sources);
  for (const mount of state.mounts)
    for (const connection of mount.connections) yield connectionObject(client, mount, connection, sources);
}

/** Objects that can be compared without keys or cluster, as `status` does. */
export const structuralObjects = (client: VaultClient, state: DesiredState, settings: Tree) => [
  ...state.audit.map((device) => auditObject(client, device, settings)),
  ...state.policies.map((policy) => policyObject(client, policy)),
  ...[...state.mounts, ...state.auth].map((mount) => mountObject(client, mount)),
  ...state.mounts.flatMap((mount) => mount.keys.map((key) => transitKey(client, mount, key))),
  ...state.auth.flatMap((mount) =>
    mount.roles.map((role) => writtenObject(client, 'role', roleOf(mount, role))),
  ),
  ...state.mounts.flatMap(({ logins }) => logins.map((role) => writtenObject(client, 'database role', role))),
];

const inTable = async (client: VaultClient, table: string, path: string): Promise<JsonObject | undefined> =>
  objectOf((await client.read(table))?.[`${path}/`]);

/** A secrets engine or Kubernetes auth method with type, version, description and longest lease. */
function mountObject(client: VaultClient, mount: Mount | AuthMount): VaultObject {
  const { path, type, description, maxTtl } = mount;
  const isAuth = 'roles' in mount;
  const [kind, table] = isAuth ? ['auth method', 'sys/auth'] : ['secrets engine', 'sys/mounts'];
  const version = isAuth ? undefined : mount.version;
  return {
    kind,
    path: `${path}/`,
    find: () => inTable(client, table, path),
    fixed: ({ type: is, options }) => [
      [is, type],
      [version && `version ${objectOf(options)?.version ?? 1}`, version && `version ${version}`],
    ],
    compare: (found) => [
      ['description', found.description, description],
      ['maxTtl', maxTtl && objectOf(found.config)?.max_lease_ttl, maxTtl],
    ],
    write: (exists) => {
      // Vault expects the lease as text with a unit.
      const config = maxTtl === undefined ? {} : { max_lease_ttl: `${maxTtl}s` };
      if (exists) return client.write(`${table}/${path}/tune`, { description, ...config });
      const options = version === undefined ? {} : { options: { version: String(version) } };
      return client.write(`${table}/${path}`, { type, description, config, ...options });
    },
  };
}

/** A key of a transit engine; an existing one is never changed. */
function transitKey(client: VaultClient, mount: Mount, { name, type }: Mount['keys'][number]): VaultObject {
  const path = `${mount.path}/keys/${name}`;
  return {
    kind: 'transit key',
    path,
    find: () => client.read(path),
    fixed: (found) => [[found.type, type]],
    compare: () => [],
    write: () => client.write(path, { type }),
  };
}

/** A file audit device. Vault cannot change one: it is disabled and enabled again, with new hashes. */
export function auditObject(
  client: VaultClient,
  { path, description, file }: DesiredState['audit'][number],
  settings: Tree,
): VaultObject {
  return {
    kind: 'audit device',
    path: `${path}/`,
    find: () => inTable(client, 'sys/audit', path),
    fixed: (found) => [[found.type, 'file']],
    compare: (found) => [
      ['description', found.description, description],
      ['file', objectOf(found.options)?.file_path, settingText(file.setting, settings)],
    ],
    write: async (exists) => {
      const options = { file_path: settingText(file.setting, settings) };
      if (exists) await client.request('DELETE', `sys/audit/${path}`);
      await client.write(`sys/audit/${path}`, { type: 'file', description, options });
    },
  };
}

const pathOf = (policy: string): string => `sys/policies/acl/${policy}`;

export const policyObject = (client: VaultClient, { name, text }: Policy): VaultObject => ({
  kind: 'policy',
  path: name,
  find: () => client.read(pathOf(name)),
  compare: ({ policy }) => [['text', String(policy).trim(), text.trim()]],
  write: () => client.write(pathOf(name), { policy: text }),
});

/**
 * Applications in Vault that are no longer in the desired state, one object each; they lose their logins, roles and
 * policy. The policy's first line identifies them, so objects of others stay. Their kv secrets stay too, since nobody
 * could restore them.
 */
export async function removedApplications(client: VaultClient, state: DesiredState): Promise<VaultObject[]> {
  const wanted = new Set([...state.policies, state.operator.policy].map(({ name }) => name));
  const { keys } = (await client.read('sys/policies/acl?list=true')) ?? {};
  const removed: VaultObject[] = [];
  for (const name of (Array.isArray(keys) ? keys : []).map(String)) {
    // An application's name has no other characters; the token may not read `team/reader`.
    if (wanted.has(name) || name === 'root' || !/^[\w-]+$/.test(name)) continue;
    const application = removedApplication(client, state, name);
    if ((await differenceOf(application)) !== undefined) removed.push(application);
  }
  return removed;
}

const removedApplication = (client: VaultClient, state: DesiredState, name: string): VaultObject => ({
  kind: 'application',
  path: name,
  find: async () => (await client.read(pathOf(name))) ?? {},
  compare: ({ policy = '' }) => [
    ['no longer declared: removed', applicationOfPolicy(String(policy)), undefined],
  ],
  write: async () => {
    const remove = (path: string) => client.request('DELETE', path, { accept: [404] });
    for (const { path } of state.auth) await remove(`auth/${path}/role/${name}`);
    for (const { path, type } of state.mounts) {
      if (type !== 'database') continue;
      // Before the role, whose statements revoke the logins.
      const logins = `sys/leases/revoke-prefix/${path}/creds/${name}`;
      await client.write(logins, { sync: true }, { timeoutMs: 60_000 });
      await remove(`${path}/roles/${name}`);
    }
    // Last: while it exists, the next run finds the rest.
    await remove(pathOf(name));
  },
});
