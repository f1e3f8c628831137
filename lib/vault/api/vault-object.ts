import { TaskError } from '../../runner/runner.ts';

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

/** One thing that Vault is to hold: how it is compared and how it is written. */
export type VaultObject = {
  readonly kind: VaultObjectKind;
  /** The path or name that a person would use with the `vault` command. */
  readonly path: string;
  /** "missing", or the names of what differs (never a value); undefined when it is as desired. */
  readonly difference: () => Promise<string | undefined>;
  /** Creates or updates it; called after `difference`. */
  readonly write: () => Promise<void>;
};

/** A difference that no write can settle: the object has to be removed by a person first. */
export function cannotChange(object: string, is: unknown, desired: unknown): TaskError {
  return new TaskError({
    what: `${object} is ${String(is)} in Vault, but the desired state says ${String(desired)}`,
    why: 'Vault cannot change it in place',
    advice: 'correct vault/state.yaml, or remove the object in Vault by hand; its data is lost with it',
  });
}

/** `["a","b"]` names of the pairs that are not equal, as one text; undefined when there is none. */
export function differingNames(
  pairs: readonly (readonly [name: string, is: unknown, desired: unknown])[],
): string | undefined {
  const names = pairs.filter(([, is, desired]) => !sameValue(is, desired)).map(([name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}

/** Lists are compared as sets: Vault does not keep their order everywhere. */
function sameValue(is: unknown, desired: unknown): boolean {
  if (Array.isArray(is) && Array.isArray(desired)) {
    return JSON.stringify([...is].sort()) === JSON.stringify([...desired].sort());
  }
  return is === desired;
}
