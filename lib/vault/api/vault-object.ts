import { TaskError } from '@k8s-deployment/runner';
import type { JsonObject, VaultClient } from './client.ts';

/** One thing that Vault has to hold, with how to compare and write it. */
export type VaultObject = {
  /** Such as `secrets engine`. */
  readonly kind: string;
  /** Its path or name for the `vault` command. */
  readonly path: string;
  /** What Vault has of it; undefined if it is missing. */
  readonly find: () => Promise<JsonObject | undefined>;
  /** The names of what differs in what was found (never a value); undefined if it is as desired. */
  readonly compare: (found: JsonObject) => string | undefined | Promise<string | undefined>;
  /** Creates or updates it; called after `find`. */
  readonly write: (exists: boolean) => Promise<unknown>;
};

/** "missing", or the names of what differs; undefined if the object is as desired. */
export async function differenceOf({ find, compare }: VaultObject): Promise<string | undefined> {
  const found = await find();
  return found === undefined ? 'missing' : compare(found);
}

/** A path with the values that Vault gets there, and returns under the same names. */
export type Written = { readonly path: string; readonly values: JsonObject };

export const writtenObject = (
  client: VaultClient,
  kind: string,
  { path, values }: Written,
  comparable: (value: unknown) => unknown = (value) => value,
): VaultObject => ({
  kind,
  path,
  find: () => client.read(path),
  compare: (found) =>
    differingNames(
      Object.entries(values).map(([name, value]) => [name, comparable(found[name]), comparable(value)]),
    ),
  write: () => client.write(path, values),
});

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
  const names = pairs.filter(([, is, desired]) => sorted(is) !== sorted(desired)).map(([name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}

/** Lists as sets: Vault does not always keep their order. */
const sorted = (value: unknown): unknown =>
  Array.isArray(value) ? JSON.stringify([...value].sort()) : value;
