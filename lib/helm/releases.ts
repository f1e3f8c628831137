import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { TaskError } from '@k8s-deployment/runner';
import { kubectlList, type WithData } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';

/** The newest revision of a release in the cluster. */
export type DeployedRelease = {
  readonly name: string;
  readonly namespace: string;
  /** As helm names it: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, … */
  readonly status: string;
  readonly revision: number;
  /** When helm's last change, or its uninstall, began; an invalid date if unknown. */
  readonly updated: Date;
  /** Digest of its manifest and hooks, comparable with `RenderedDigests`. */
  readonly digest: string;
  /** Its objects, without hooks. */
  readonly manifest: string;
};

/** The releases in a cluster by id, such as `core/devops`. */
export type Deployed = ReadonlyMap<string, DeployedRelease>;

type Stored = {
  readonly manifest: string;
  readonly hooks?: readonly { readonly manifest: string }[];
  readonly info?: { readonly last_deployed?: string; readonly deleted?: string };
};

/**
 * Releases in the cluster, read by one kubectl call. helm keeps each revision in a Secret labelled `owner=helm`, as
 * gzipped JSON (helm: "Storage backends"). Throws `TaskError` for an unreadable Secret; if `unreadable` is given,
 * passes the error to it and returns the release without its manifest.
 */
export async function deployedReleases(
  context: ShellContext,
  unreadable = (error: TaskError): void => {
    throw error;
  },
): Promise<Deployed> {
  const words = ['get', 'secrets', '-A', '-l', 'owner=helm,status!=superseded'];
  const secrets = await kubectlList<WithData>(context, ...words);
  const newest = new Map(
    secrets
      .toSorted((one, other) => version(one) - version(other))
      .map((item) => [`${item.metadata.namespace}/${item.metadata.labels?.name}`, item]),
  );
  const releases = [...newest].map(async ([id, item]): Promise<[string, DeployedRelease]> => {
    let stored: Stored = { manifest: '' };
    try {
      const packed = Buffer.from(Buffer.from(item.data?.release ?? '', 'base64').toString(), 'base64');
      stored = JSON.parse((await promisify(gunzip)(packed)).toString());
    } catch (error) {
      unreadable(notReadable(item, error as Error));
    }
    const { namespace, labels = {} } = item.metadata;
    const release = {
      name: labels.name ?? '',
      namespace,
      status: labels.status ?? 'unknown',
      revision: version(item),
      updated: new Date(stored.info?.deleted || (stored.info?.last_deployed ?? '')),
      digest: manifestDigest([stored.manifest, ...(stored.hooks ?? []).map(({ manifest }) => manifest)]),
      manifest: stored.manifest,
    };
    return [id, release];
  });
  return new Map(await Promise.all(releases));
}

function notReadable({ metadata: { namespace, name } }: WithData, error: Error): TaskError {
  const remove = `kubectl -n ${namespace} delete secret ${name}`;
  return new TaskError({
    what: `cannot read the Secret ${namespace}/${name}, in which helm keeps a release`,
    why: error.message,
    advice: `delete it (\`${remove}\`) and run again: helm then continues from the previous revision`,
    cause: error,
  });
}

const version = (item: WithData): number => Number(item.metadata.labels?.version);

/** A digest that ignores the order of objects and helm's comments. The part after the dot also ignores replicas. */
export function manifestDigest(texts: readonly string[]): string {
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
