import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { TaskError } from '@k8s-deployment/runner';
import { kubectlList } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Release } from './helmfile.ts';

/** The newest revision of a release in the cluster. */
export type DeployedRelease = {
  readonly name: string;
  readonly namespace: string;
  /** As helm names it: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, … */
  readonly status: string;
  readonly revision: number;
  /** Time of helm's last change; an invalid date if unknown. */
  readonly updated: Date;
  /** Digest of its manifest and hooks, comparable with `RenderedDigests`. */
  readonly digest: string;
  /** Its objects, without hooks. */
  readonly manifest: string;
};

type Stored = {
  readonly manifest: string;
  readonly hooks?: readonly { readonly manifest: string }[];
  readonly info?: { readonly last_deployed?: string };
};

type Secret = {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: { readonly [key: string]: string };
  };
  readonly data?: { readonly release?: string };
};

/**
 * Releases in the cluster, read by one kubectl call. helm keeps each revision in a Secret labelled `owner=helm`, as
 * gzipped JSON (helm: "Storage backends"). Throws `TaskError` for an unreadable Secret; if `unreadable` is given,
 * passes the error to it and returns the release without its manifest.
 */
export async function deployedReleases(
  context: ShellContext,
  unreadable?: (error: TaskError) => void,
): Promise<readonly DeployedRelease[]> {
  const words = ['get', 'secrets', '-A', '-l', 'owner=helm,status!=superseded'];
  const secrets = await kubectlList<Secret>(context, ...words);
  const newest = new Map(
    secrets
      .toSorted((one, other) => version(one) - version(other))
      .map((item) => [`${item.metadata.namespace}/${item.metadata.labels.name}`, item]),
  );
  return Promise.all(
    [...newest.values()].map(async (item) => {
      const stored = await unpack(item).catch((error: TaskError): Stored => {
        if (!unreadable) throw error;
        unreadable(error);
        return { manifest: '' };
      });
      return {
        name: item.metadata.labels.name ?? '',
        namespace: item.metadata.namespace,
        status: item.metadata.labels.status ?? 'unknown',
        revision: version(item),
        updated: new Date(stored.info?.last_deployed ?? ''),
        digest: digestOf([stored.manifest, ...(stored.hooks ?? []).map(({ manifest }) => manifest)]),
        manifest: stored.manifest,
      };
    }),
  );
}

/** Decodes the release in one of helm's Secrets. Throws `TaskError` if it is unreadable. */
async function unpack({ metadata, data }: Secret): Promise<Stored> {
  try {
    const packed = Buffer.from(Buffer.from(data?.release ?? '', 'base64').toString(), 'base64');
    return JSON.parse((await promisify(gunzip)(packed)).toString()) as Stored;
  } catch (error) {
    const remove = `kubectl -n ${metadata.namespace} delete secret ${metadata.name}`;
    throw new TaskError({
      what: `cannot read the Secret ${metadata.namespace}/${metadata.name}, in which helm keeps a release`,
      why: (error as Error).message,
      advice: `delete it (\`${remove}\`) and run again: helm then continues from the previous revision`,
      cause: error,
    });
  }
}

const version = (item: Secret): number => Number(item.metadata.labels.version);

/** A digest that ignores the order of objects and helm's comments. The part after the dot also ignores replicas. */
export function digestOf(texts: readonly string[]): string {
  const text = texts
    .flatMap((text) => text.split(/^---.*$/m))
    .map((text) =>
      text
        .split('\n')
        .filter((line) => !line.startsWith('#') && line.trim() !== '')
        .map((line) => line.trimEnd())
        .join('\n'),
    )
    .filter((text) => text !== '')
    .sort()
    .join('\n---\n');
  return [text, text.replaceAll(/^ *replicas: \d+$/gm, '')]
    .map((text) => createHash('sha256').update(text).digest('hex'))
    .join('.');
}

/** True if two digests differ only in the number of replicas. */
export const isSameExceptReplicas = (one: string, other: string): boolean =>
  one.split('.')[1] === other.split('.')[1];

/** The deployed release that belongs to a declared one, if any. */
export const findDeployed = (
  deployed: readonly DeployedRelease[],
  { name, namespace }: Pick<Release, 'name' | 'namespace'>,
): DeployedRelease | undefined =>
  deployed.find((found) => found.name === name && found.namespace === namespace);
