import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import { type Tree, valueAt } from '../../ground/tree.ts';
import { dataOf, objectOf, type VaultClient } from './client.ts';
import type { KeyValues, Reference } from './state-schema.ts';
import { VaultError } from './vault-error.ts';
import type { VaultObject } from './vault-object.ts';

/** Vault's access to the API server that checks ServiceAccount tokens. */
export type KubernetesAccess = {
  /** `https://kubernetes.default.svc` for a Vault in a pod. */
  readonly host: string;
  /** PEM. Undefined for a Vault in a pod, which uses its own ServiceAccount's. */
  readonly caCertificate?: string;
  /** Token of a ServiceAccount bound to `system:auth-delegator`. Undefined for a Vault in a pod, which uses its own. */
  readonly reviewer?: string;
};

/** Sources of values that are not in the desired state. */
export type Sources = {
  /** The merged settings of the environment. */
  readonly settings: Tree;
  /** Decrypts one key of a file of `environments/<environment>/secrets/`. Throws `TaskError`. */
  readonly decrypt: (file: string, key: string) => Promise<string>;
  /** Path of a file with hashes of written values that Vault does not return. */
  readonly record: string;
  /** PEM of the authority that signed the database server's certificate. */
  readonly databaseAuthority: string;
  readonly kubernetes: KubernetesAccess;
};

/** A path of a kv engine. Unchanged data creates no new version; a concurrent change by others is an error. */
export async function keyValuesObject(
  client: VaultClient,
  { mount, path, values }: KeyValues,
  sources: Sources,
  signal?: AbortSignal,
): Promise<VaultObject> {
  const pairs = values.map(async ({ name, from }) => [name, await resolveValue(from, sources)] as const);
  const desired = Object.fromEntries(await Promise.all(pairs));
  let version = 0;
  return {
    kind: 'secret',
    path: `${mount}/${path}`,
    find: async () => {
      const stored = await readSecret(client, mount, path, signal);
      version = stored.version;
      return stored.data;
    },
    compare: (data) =>
      Object.keys({ ...desired, ...data }).map((name) => [name, data[name], desired[name]] as const),
    write: () => {
      const secrets = values.flatMap(({ name, from }) => ('file' in from ? [desired[name] ?? ''] : []));
      return client.write(`${mount}/data/${path}`, { data: desired, options: { cas: version } }, { secrets });
    },
  };
}

/**
 * Data and version of a path of a kv engine: no data and version 0 if never written, no data if deleted. Waits while
 * Vault prepares a newly enabled engine.
 */
export async function readSecret(client: VaultClient, mount: string, path: string, signal?: AbortSignal) {
  let upgrading: string | undefined;
  const stored = await poll(
    async () => {
      try {
        const call = `${mount}/data/${path}`;
        const answer = await client.request('GET', call, { accept: [404] });
        // A 404 without `data` means never written.
        const found =
          answer.status === 404 ? objectOf(answer.body.data) : dataOf(client.address, `GET ${call}`, answer);
        const version = objectOf(found?.metadata)?.version;
        return { data: objectOf(found?.data), version: typeof version === 'number' ? version : 0 };
      } catch (error) {
        // Text from vault-plugin-secrets-kv, upgrade.go; status 400 alone is not specific.
        const isUpgrade = error instanceof VaultError && error.why?.includes('Upgrading from');
        if (!isUpgrade) throw error;
        upgrading = error.why;
        return undefined;
      }
    },
    30_000,
    signal,
  );
  if (stored !== undefined) return stored;
  throw new TaskError({
    what: `the kv engine ${mount}/ was not ready within 30 s`,
    why: upgrading,
    advice: `run ${taskCommand('init-vault')} again`,
  });
}

/** The value of a reference. Throws `TaskError` if it is missing or empty. */
export async function resolveValue(from: Reference, sources: Sources): Promise<string> {
  if ('setting' in from) return settingText(from.setting, sources.settings);
  const value = await sources.decrypt(from.file, from.key);
  if (value !== '') return value;
  throw new TaskError({ what: `the value \`${from.key}\` of the secret file ${from.file} is empty` });
}

/** A setting by its dotted name, as text. Throws `TaskError` if it is missing, empty, a map or a list. */
export function settingText(name: string, settings: Tree): string {
  const value = valueAt(settings, name.split('.'));
  if (typeof value === 'number' || (typeof value === 'string' && value !== '')) return String(value);
  throw new TaskError({
    what: `Vault's desired state needs the setting \`${name}\`, which is ${value === undefined ? 'missing' : 'not a text or number'}`,
    advice: 'set it in environments/common.yaml or in a file of the environment',
  });
}
