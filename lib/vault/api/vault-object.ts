import { TaskError } from '@k8s-deployment/runner';
import type { JsonObject, VaultClient } from './client.ts';

type Pairs = readonly (readonly [name: string, is: unknown, desired: unknown])[];

/** An object in Vault, with functions to compare and write it. */
export type VaultObject = {
  /** For example `secrets engine`. */
  readonly kind: string;
  /** Its path or name for the `vault` command. */
  readonly path: string;
  /** Vault's present values; undefined if it is missing. */
  readonly find: () => Promise<JsonObject | undefined>;
  /** What no write can change: somebody has to remove the object first. */
  readonly fixed?: (found: JsonObject) => readonly (readonly [is: unknown, desired: unknown])[];
  /** What a write changes. Only the names are shown. */
  readonly compare: (found: JsonObject) => Pairs | Promise<Pairs>;
  /** Creates or updates it; called after `find`. */
  readonly write: (exists: boolean) => Promise<unknown>;
};

/** "missing", or the names of the differences; undefined if there are none. Throws `TaskError` for a fixed one. */
export async function differenceOf(object: VaultObject): Promise<string | undefined> {
  const { kind, path, find, fixed, compare } = object;
  const found = await find();
  if (found === undefined) return 'missing';
  for (const [is, desired] of fixed?.(found) ?? [])
    if (is !== desired)
      throw new TaskError({
        what: `the ${kind} ${path} is ${String(is)} in Vault, but the desired state says ${String(desired)}`,
        why: 'Vault cannot change it in place',
        advice: 'correct vault/state.yaml, or remove the object in Vault by hand; its data is lost with it',
      });
  return differingNames(await compare(found));
}

/** A path with the values to write; Vault returns them under the same names. */
export type Written = { readonly path: string; readonly values: JsonObject };

export const writtenObject = (client: VaultClient, kind: string, { path, values }: Written): VaultObject => ({
  kind,
  path,
  find: () => client.read(path),
  compare: (found) => Object.entries(values).map(([name, value]) => [name, found[name], value]),
  write: () => client.write(path, values),
});

/**
 * Names of the pairs that differ, joined; undefined if there are none. Lists count as sets, since Vault does not always
 * keep their order, except for statements.
 */
export function differingNames(pairs: Pairs): string | undefined {
  const text = (name: string, value: unknown) =>
    Array.isArray(value) ? JSON.stringify(name.endsWith('_statements') ? value : [...value].sort()) : value;
  const names = pairs
    .filter(([name, is, desired]) => text(name, is) !== text(name, desired))
    .map(([name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}
