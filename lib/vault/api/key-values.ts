import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import { dataOf, objectOf, type VaultClient } from './client.ts';
import type { KeyValues, Reference } from './desired-state.ts';
import { VaultError } from './vault-error.ts';
import type { VaultObject } from './vault-object.ts';

/** Where references find their values. */
export type ValueSources = {
  /** The merged settings of the environment. */
  readonly settings: { readonly [key: string]: unknown };
  /** Decrypts one key of a file of `environments/<environment>/secrets/`. Throws `TaskError`. */
  readonly decrypt: (file: string, key: string) => Promise<string>;
};

/** What a path of a kv engine holds; `data` is undefined if it was never written, or deleted. */
export type StoredSecret = {
  readonly data: Readonly<Record<string, unknown>> | undefined;
  /** 0 if it was never written. */
  readonly version: number;
};

/**
 * One path of a kv engine. Unchanged data creates no new version; a concurrent change by others is an error.
 */
export function keyValuesObject(
  client: VaultClient,
  secret: KeyValues,
  sources: ValueSources,
  signal?: AbortSignal,
): VaultObject {
  // Once: decrypting takes far longer than asking Vault.
  let desired: Record<string, string> | undefined;
  let version = 0;
  return {
    kind: 'secret',
    path: `${secret.mount}/${secret.path}`,
    difference: async () => {
      desired ??= await resolveValues(secret, sources);
      const wanted = desired;
      const stored = await readSecret(client, secret, signal);
      version = stored.version;
      const data = stored.data;
      if (data === undefined) return 'missing';
      const names = new Set([...Object.keys(wanted), ...Object.keys(data)]);
      const differing = [...names].filter((name) => data[name] !== wanted[name]);
      return differing.length === 0 ? undefined : differing.join(', ');
    },
    write: async () => {
      const secrets = secret.values
        .filter(({ from }) => 'file' in from)
        .map(({ name }) => desired?.[name] ?? '');
      await client.write(
        `${secret.mount}/data/${secret.path}`,
        { data: desired, options: { cas: version } },
        { secrets },
      );
    },
  };
}

/** Reads a path of a kv engine; waits while Vault prepares an engine that was just enabled. */
export async function readSecret(
  client: VaultClient,
  secret: Pick<KeyValues, 'mount' | 'path'>,
  signal?: AbortSignal,
): Promise<StoredSecret> {
  let upgrading: VaultError | undefined;
  const stored = await poll(
    async () => {
      try {
        const path = `${secret.mount}/data/${secret.path}`;
        const { status, body } = await client.request('GET', path, { accept: [404] });
        // A 404 without `data`: it was never written.
        const answer =
          status === 404 ? objectOf(body.data) : dataOf(client.address, `GET ${path}`, { status, body });
        const version = objectOf(answer?.metadata)?.version;
        return { data: objectOf(answer?.data), version: typeof version === 'number' ? version : 0 };
      } catch (error) {
        // The text of vault-plugin-secrets-kv, upgrade.go: the status (400) is not specific.
        const isUpgrade =
          error instanceof VaultError && error.errors.some((line) => line.includes('Upgrading from'));
        if (!isUpgrade) throw error;
        upgrading = error;
        return undefined;
      }
    },
    30_000,
    signal,
  );
  if (stored !== undefined) return stored;
  throw new TaskError({
    what: `the kv engine ${secret.mount}/ was not ready within 30 s`,
    why: upgrading?.errors.join('; '),
    advice: `run ${taskCommand('init-vault')} again`,
  });
}

async function resolveValues(secret: KeyValues, sources: ValueSources): Promise<Record<string, string>> {
  const pairs = secret.values.map(
    async ({ name, from }) => [name, await resolveValue(from, sources)] as const,
  );
  return Object.fromEntries(await Promise.all(pairs));
}

/** The value of a reference. Throws `TaskError` if it is missing or empty. */
export async function resolveValue(from: Reference, sources: ValueSources): Promise<string> {
  if ('setting' in from) return settingText(from.setting, sources.settings);
  const value = await sources.decrypt(from.file, from.key);
  if (value !== '') return value;
  throw new TaskError({ what: `the value \`${from.key}\` of the secret file ${from.file} is empty` });
}

/** A setting by its dotted name, as text. Throws `TaskError` if it is missing, empty, a map or a list. */
export function settingText(name: string, settings: ValueSources['settings']): string {
  const value = name.split('.').reduce<unknown>((map, key) => objectOf(map)?.[key], settings);
  if (typeof value === 'number' || (typeof value === 'string' && value !== '')) return String(value);
  throw new TaskError({
    what: `Vault's desired state needs the setting \`${name}\`, which is ${value === undefined ? 'missing' : 'not a text or number'}`,
    advice: 'set it in environments/common.yaml or in a file of the environment',
  });
}
