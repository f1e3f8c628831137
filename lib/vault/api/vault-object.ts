import { TaskError } from '@k8s-deployment/runner';

export type VaultObjectKind =
  | 'audit device'
  | 'policy'
  | 'secrets engine'
  | 'transit key'
  | 'secret'
  | 'auth method'
  | 'auth config'
  | 'role'
  | 'database connection'
  | 'database role'
  | 'application'
  | 'token';

/** One thing that Vault has to hold, with how to compare and write it. */
export type VaultObject = {
  readonly kind: VaultObjectKind;
  /** Its path or name for the `vault` command. */
  readonly path: string;
  /** "missing", or the names of what differs (never a value); undefined if it is as desired. */
  readonly difference: () => Promise<string | undefined>;
  /** Creates or updates it; called after `difference`. */
  readonly write: () => Promise<void>;
};

/** The error for a difference that no write can resolve: a person has to remove the object first. */
export function cannotChange(object: string, is: unknown, desired: unknown): TaskError {
  return new TaskError({
    what: `${object} is ${String(is)} in Vault, but the desired state says ${String(desired)}`,
    why: 'Vault cannot change it in place',
    advice: 'correct vault/state.yaml, or remove the object in Vault by hand; its data is lost with it',
  });
}

/** The names of the pairs that differ, as one text; undefined if there are none. */
export function differingNames(
  pairs: readonly (readonly [name: string, is: unknown, desired: unknown])[],
): string | undefined {
  const names = pairs.filter(([, is, desired]) => !sameValue(is, desired)).map(([name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}

/** Compares lists as sets: Vault does not always keep their order. */
function sameValue(is: unknown, desired: unknown): boolean {
  if (Array.isArray(is) && Array.isArray(desired)) {
    return JSON.stringify([...is].sort()) === JSON.stringify([...desired].sort());
  }
  return is === desired;
}
