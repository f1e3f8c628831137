import { providerOf } from '../cluster/providers.ts';
import { isOnDelete } from '../helm/drift.ts';
import { type Release, withNeeds } from '../helm/helmfile.ts';
import { manifestObjects } from '../helm/live-objects.ts';
import type { Deployed, DeployedRelease } from '../helm/releases.ts';
import { unreadyOf } from '../kubernetes/diagnostics.ts';
import { awaitNewer, type PodSet, readPodSet, replacePod, type SetName } from '../kubernetes/on-delete.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { nextPodOfVault, unsealRunning, vaultSet } from '../vault/replace-pods.ts';

/** True if the release may have a workload whose pods helm does not replace; parsing its manifest takes long. */
const hasOnDelete = (release: DeployedRelease | undefined): boolean =>
  release?.manifest.includes('OnDelete') === true;

/**
 * Deployed releases whose pods helm does not replace come first, with what they need: others may depend on the newest
 * revision.
 */
export function batchesOf(releases: readonly Release[], deployed: Deployed): readonly (readonly Release[])[] {
  const onDelete = releases.filter(({ id }) => hasOnDelete(deployed.get(id)));
  const first = withNeeds(onDelete, releases);
  const rest = releases.filter((release) => !first.includes(release));
  return [first, rest].filter(({ length }) => length > 0);
}

/**
 * Replaces the pods of older revisions of the releases' OnDelete workloads, one by one. The next call goes on with what
 * a stopped one left. Returns whether it replaced any. Throws `TaskError` if a replaced pod does not come back within
 * `waitMs` milliseconds.
 */
export async function replaceOlderPods(
  context: EnvironmentContext,
  releases: readonly Pick<Release, 'id'>[],
  deployed: Deployed,
  waitMs = podStartMs,
): Promise<boolean> {
  let any = false;
  for (const { id } of releases) {
    const release = deployed.get(id);
    if (release === undefined || !hasOnDelete(release)) continue;
    const objects = await manifestObjects(release.manifest, release);
    for (const { metadata } of objects.filter(isOnDelete))
      any = (await replaceIn(context, metadata, waitMs)) || any;
  }
  return any;
}

/**
 * Goes on with a replacement that was stopped: replaces what is left, and unseals what runs. Returns whether it did
 * either. Throws `TaskError` if a replaced pod does not come back.
 */
export async function finishReplacement(
  context: EnvironmentContext,
  releases: readonly Pick<Release, 'id'>[],
  deployed: Deployed,
): Promise<boolean> {
  const replaced = await replaceOlderPods(context, releases, deployed);
  // After the last pod was deleted, none is older, but it may be sealed.
  const isVault = releases.some(({ id }) => isVaultInPods(context, id));
  return replaced || (isVault && (await unsealRunning(context)));
}

/** True for the release of Vault, and its StatefulSet of the same name, if Vault runs in pods. */
const isVaultInPods = ({ environment }: InEnvironment, id: string): boolean =>
  id === `${vaultSet.namespace}/${vaultSet.name}` && providerOf(environment).servers === undefined;

async function replaceIn(context: EnvironmentContext, name: SetName, waitMs: number): Promise<boolean> {
  const isVault = isVaultInPods(context, `${name.namespace}/${name.name}`);
  for (let count = 0; ; count += 1) {
    const set = await readPodSet(context, name);
    if (count === 0 && set.older.length === 0) return false;
    const next = await (isVault ? nextPodOfVault : nextPod)(context, set, waitMs);
    if (next === undefined) return count > 0;
    context.log(`replacing pod ${name.namespace}/${next.metadata.name}: it runs an older revision`);
    await replacePod(context, set, next);
  }
}

/** The pod to replace next, once those of the newest revision are ready: first one that is not. */
async function nextPod(context: EnvironmentContext, set: PodSet, waitMs: number) {
  await awaitNewer(context, set, 'ready', waitMs);
  return set.older.find((pod) => unreadyOf([pod]).length > 0) ?? set.older[0];
}
