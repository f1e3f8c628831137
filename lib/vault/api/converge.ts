import { TaskError } from '@k8s-deployment/runner';
import type { VaultClient } from './client.ts';
import { connectionObject, type DatabaseSources, databaseRole } from './database.ts';
import type { DesiredState } from './desired-state.ts';
import { keyValuesObject, type ValueSources } from './key-values.ts';
import { type KubernetesAccess, kubernetesConfig, roleOf } from './kubernetes-auth.ts';
import { auditObject, mountObject, transitKey } from './mounts.ts';
import { policyObject, removedApplications } from './policies.ts';
import { differenceOf, type VaultObject, writtenObject } from './vault-object.ts';

export type ConvergeInput = {
  /** With a token that may manage all of the desired state. */
  readonly client: VaultClient;
  readonly state: DesiredState;
  readonly kubernetes: KubernetesAccess;
  readonly sources: DatabaseSources;
  readonly signal?: AbortSignal;
  /** Called for each object as soon as it is converged. */
  readonly onChange?: (change: VaultChange) => void;
};

export type VaultChange = {
  readonly kind: VaultObject['kind'];
  readonly path: string;
  readonly outcome: 'changed' | 'unchanged';
  /** Of a change: "missing", or the names of what differed; never a value. */
  readonly difference?: string;
};

/**
 * Brings Vault to the desired state: reads each object, compares, writes what differs and reads it again. A
 * second run changes nothing. Other objects stay as they are, except those of applications that were removed
 * from the state. Stops at the first error (`TaskError`); the next run continues there.
 */
export async function convergeVault(input: ConvergeInput): Promise<VaultChange[]> {
  const { client, state } = input;
  return [
    ...(await convergeAll(await removedApplications(client, state), input)),
    ...(await convergeAll(allObjects(input), input)),
  ];
}

/** Converges objects one after another; reports each. */
export async function convergeAll(
  objects: readonly VaultObject[],
  { signal, onChange }: Pick<ConvergeInput, 'signal' | 'onChange'>,
): Promise<VaultChange[]> {
  const changes: VaultChange[] = [];
  for (const object of objects) {
    signal?.throwIfAborted();
    const change = await converge(object);
    changes.push(change);
    onChange?.(change);
  }
  return changes;
}

/** A change as a line of the log: `changed   secret kv/app1/database (DB_PASSWORD)`. */
export function formatChange(change: VaultChange): string {
  const reason = change.difference === undefined ? '' : ` (${change.difference})`;
  return `${change.outcome.padEnd('unchanged'.length)} ${change.kind} ${change.path}${reason}`;
}

async function converge(object: VaultObject): Promise<VaultChange> {
  const { kind, path } = object;
  const difference = await differenceOf(object);
  if (difference === undefined) return { kind, path, outcome: 'unchanged' };
  await object.write(difference !== 'missing');
  const left = await differenceOf(object);
  // A value that Vault stores in another form would be written by every run.
  if (left !== undefined) {
    throw new TaskError({
      what: `Vault accepted the ${kind} ${path}, but it still differs from the desired state`,
      why: left,
      advice: 'check that nothing else changes it at the same time',
    });
  }
  return { kind, path, outcome: 'changed', difference };
}

/** All objects, each after what it needs: the audit log first, last what needs another server. */
function allObjects({ client, state, kubernetes, sources, signal }: ConvergeInput): VaultObject[] {
  const { audit, engines, methods, roles } = structure(client, state, sources.settings);
  return [
    ...audit,
    ...engines,
    ...state.keyValues.map((secret) => keyValuesObject(client, secret, sources, signal)),
    ...methods,
    ...state.auth.map((mount) => kubernetesConfig(client, mount, kubernetes, sources.record)),
    ...roles,
    ...state.mounts.flatMap((mount) =>
      mount.connections.map((connection) => connectionObject(client, mount, connection, sources)),
    ),
  ];
}

/** The objects whose desired form is known without keys and cluster. */
function structure(client: VaultClient, state: DesiredState, settings: ValueSources['settings']) {
  // The order of statements matters, and the comparison of lists does not see it.
  const inOrder = (value: unknown) => (Array.isArray(value) ? JSON.stringify(value) : value);
  return {
    audit: state.audit.map((device) => auditObject(client, device, settings)),
    engines: [
      ...state.policies.map((policy) => policyObject(client, policy)),
      ...state.mounts.map((mount) => mountObject(client, mount)),
      ...state.mounts.flatMap((mount) => mount.keys.map((key) => transitKey(client, mount, key))),
    ],
    methods: state.auth.map((mount) => mountObject(client, mount)),
    roles: [
      ...state.auth.flatMap((mount) =>
        mount.roles.map((role) => writtenObject(client, 'role', roleOf(mount, role))),
      ),
      ...state.mounts.flatMap((mount) =>
        mount.logins.map((role) =>
          writtenObject(client, 'database role', databaseRole(mount, role), inOrder),
        ),
      ),
    ],
  };
}

/** The objects that `status` can compare. */
export function structuralObjects(
  client: VaultClient,
  state: DesiredState,
  settings: ValueSources['settings'],
): VaultObject[] {
  const { audit, engines, methods, roles } = structure(client, state, settings);
  return [...audit, policyObject(client, state.operator.policy), ...engines, ...methods, ...roles];
}
