import { TaskError } from '@k8s-deployment/runner';
import type { Tree } from '../../ground/tree.ts';
import type { VaultClient } from './client.ts';
import { connectionObject, type DatabaseSources } from './database.ts';
import type { DesiredState } from './desired-state.ts';
import { keyValuesObject } from './key-values.ts';
import { type KubernetesAccess, kubernetesConfig, roleOf } from './kubernetes-auth.ts';
import { auditObject, mountObject, transitKey } from './mounts.ts';
import { policyObject, removedApplications } from './policies.ts';
import { differenceOf, type VaultObject, writtenObject } from './vault-object.ts';

export type ConvergeInput = {
  /** Its token may manage the whole desired state. */
  readonly client: VaultClient;
  readonly state: DesiredState;
  readonly kubernetes: KubernetesAccess;
  readonly sources: DatabaseSources;
  readonly signal?: AbortSignal;
  /** Called for each object once it is converged. */
  readonly onChange: (change: VaultChange) => void;
};

export type VaultChange = {
  readonly kind: VaultObject['kind'];
  readonly path: string;
  readonly outcome: 'changed' | 'unchanged';
  /** "missing", or the names of what differed; never a value. */
  readonly difference?: string;
};

/**
 * Brings Vault to the desired state: reads each object, writes what differs, and reads it again. A second run changes
 * nothing. Leaves other objects alone, except those of applications that were removed from the state. Stops at the
 * first error (`TaskError`); the next run continues there.
 */
export async function convergeVault(input: ConvergeInput): Promise<void> {
  await convergeAll(allObjects(input), input);
  // Ending their logins needs the connection to the database, which a restored Vault has of an earlier one.
  await convergeAll(await removedApplications(input.client, input.state), input);
}

/** Converges objects one after another and reports each. */
export async function convergeAll(
  objects: readonly VaultObject[],
  { signal, onChange }: Pick<ConvergeInput, 'signal' | 'onChange'>,
): Promise<void> {
  for (const object of objects) {
    signal?.throwIfAborted();
    onChange(await converge(object));
  }
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
  // If Vault stores a value in another form, every run would write it again.
  if (left !== undefined) {
    throw new TaskError({
      what: `Vault accepted the ${kind} ${path}, but it still differs from the desired state`,
      why: left,
      advice: 'check that nothing else changes it at the same time',
    });
  }
  return { kind, path, outcome: 'changed', difference };
}

/** All objects in the order of their needs: the audit log first, objects that need another server last. */
const allObjects = ({ client, state, kubernetes, sources, signal }: ConvergeInput): VaultObject[] => [
  ...structuralObjects(client, state, sources.settings),
  ...state.keyValues.map((secret) => keyValuesObject(client, secret, sources, signal)),
  ...state.auth.map((mount) => kubernetesConfig(client, mount, kubernetes, sources.record)),
  ...state.mounts.flatMap((mount) =>
    mount.connections.map((connection) => connectionObject(client, mount, connection, sources)),
  ),
];

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
