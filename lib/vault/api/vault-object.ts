import { TaskError } from '@k8s-deployment/runner';
import type { JsonObject, VaultClient } from './client.ts';

/** An object in Vault, with functions to compare and write it. */
export type VaultObject = {
  /** For example `secrets engine`. */
  readonly kind: string;
  /** Its path or name for the `vault` command. */
  readonly path: string;
  /** Vault's present values; undefined if it is missing. */
  readonly find: () => Promise<JsonObject | undefined>;
  /** Names of the differences (never values); undefined if there are none. */
  readonly compare: (found: JsonObject) => string | undefined | Promise<string | undefined>;
  /** Creates or updates it; called after `find`. */
  readonly write: (exists: boolean) => Promise<unknown>;
};

/** "missing", or the names of the differences; undefined if there are none. */
export async function differenceOf({ find, compare }: VaultObject): Promise<string | undefined> {
  const found = await find();
  return found === undefined ? 'missing' : compare(found);
}

/** A path with the values to write; Vault returns them under the same names. */
export type Written = { readonly path: string; readonly values: JsonObject };

export const writtenObject = (client: VaultClient, kind: string, { path, values }: Written): VaultObject => ({
  kind,
  path,
  find: () => client.read(path),
  compare: (found) =>
    differingNames(Object.entries(values).map(([name, value]) => [name, found[name], value])),
  write: () => client.write(path, values),
});

/** The error for a difference that no write can resolve: somebody has to remove the object first. */
export function cannotChange(object: string, is: unknown, desired: unknown): TaskError {
  return new TaskError({
    what: `${object} is ${String(is)} in Vault, but the desired state says ${String(desired)}`,
    why: 'Vault cannot change it in place',
    advice: 'correct vault/state.yaml, or remove the object in Vault by hand; its data is lost with it',
  });
}

/**
 * Names of the pairs that differ, joined; undefined if there are none. Lists count as sets, since Vault does not always
 * keep their order, except for statements.
 */
export function differingNames(pairs: readonly (readonly [name: string, is: unknown, desired: unknown])[]) {
  const text = (name: string, value: unknown) =>
    Array.isArray(value) ? JSON.stringify(name.endsWith('_statements') ? value : [...value].sort()) : value;
  const names = pairs
    .filter(([name, is, desired]) => text(name, is) !== text(name, desired))
    .map(([name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}
