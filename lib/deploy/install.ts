import { providerOf } from '../cluster/providers.ts';
import { checkPasswords } from '../database/roles.ts';
import { findChanged, recallDigests } from '../helm/changed-releases.ts';
import { isHelm3, refuseBusy, repairReleases, takeBack } from '../helm/helm.ts';
import {
  atOnce,
  declaredReleases,
  namesText,
  type Release,
  type Selection,
  splitLeftOut,
} from '../helm/helmfile.ts';
import { prepareNamespaces } from '../helm/namespaces.ts';
import { type Deployed, deployedReleases } from '../helm/releases.ts';
import { ensureRouteCertificates, isFront } from '../ingress/certificates.ts';
import { checkPlace, readRecord } from '../ingress/installed.ts';
import type { Context } from '../settings/context.ts';
import { checkVault } from '../vault/health.ts';
import { checkDeployedPassword } from './database-password.ts';
import { keepReplicas } from './keep-replicas.ts';
import { finishReplacement, hasOnDelete, replaceOlderPods } from './replace-pods.ts';
import { runHelmfile } from './run-helmfile.ts';

/**
 * Installs or upgrades the selected releases and their needs, except those already deployed correctly, and removes
 * deployed ones that are left out. With `passThrough` it always calls helmfile.
 */
export async function install(context: Context, selection: Selection): Promise<void> {
  const { environment, settings } = context;
  const declared = await declaredReleases(environment.root, selection, 'with-needs');
  const { installed: releases, leftOut } = splitLeftOut(settings, declared);
  const [deployed, digests] = await Promise.all([deployedReleases(context), recallDigests(context)]);
  const removed = leftOut.filter(({ id }) => deployed.has(id));
  await refuseBusy(context, [...releases, ...removed], deployed);

  const { changed, unfinished, scaled } = await findChanged(context, releases, deployed, digests);
  if (changed.length > 0) {
    // Only releases without a complete revision have not been rendered yet.
    await checkPasswords(context, changed);
    await checkDeployedPassword(context, changed, deployed);
    await checkVault(context, changed);
    const cluster = await providerOf(environment).load();
    await cluster.checkRequirements?.(
      context,
      changed.map(({ name }) => name),
    );
    if (changed.some(isFront)) checkPlace(context, await readRecord(context));
    await prepareNamespaces(context, changed);
  }
  const certificates = await ensureRouteCertificates(context, releases);
  const unchanged = releases.filter((release) => !changed.includes(release));
  if (unchanged.length > 0) context.log(`unchanged: ${namesText(unchanged)}`);
  if (leftOut.length > 0) context.log(`left out by the settings: ${namesText(leftOut)}`);
  const stopped = unfinished.filter((release) => !changed.includes(release));
  const replaced = await finishReplacement(context, stopped, deployed);
  if (changed.length + removed.length === 0)
    return context.report(certificates === 'changed' || replaced ? 'changed' : 'unchanged');
  if (changed.length > 0) context.log(`installing: ${namesText(changed)}`);
  if (removed.length > 0) context.log(`removing: ${namesText(removed)}`);
  await repairReleases(context, [...changed, ...removed], deployed);
  await keepReplicas(context, changed, deployed);
  let now = deployed;
  for (const batch of batchesOf([...changed, ...removed], deployed)) {
    await runHelmfile(context, 'installing', batch, [
      ...[...scaled].flatMap(([name, count]) => ['--state-values-set', `releases.${name}.replicas=${count}`]),
      ...batch.flatMap(({ name }) => ['-l', `name=${name}`]),
      ...['sync', ...atOnce, ...((await isHelm3()) ? [] : ['--sync-args', takeBack.join(' ')])],
    ]);
    now = await deployedReleases(context);
    await replaceOlderPods(context, batch, now);
  }
  // The release devops has created the namespace by now.
  if (certificates === 'later') await ensureRouteCertificates(context, releases);
  context.report('changed');
  // Arguments for helmfile may change what it renders.
  if (context.passThrough.length > 0) return;
  // Of the others, somebody else may have changed the one in the cluster meanwhile.
  for (const { id, name } of changed) {
    const digest = now.get(id)?.digest;
    // With an autoscaler's replicas, the digest is unknown until the next rendering.
    if (digest !== undefined && !scaled.has(name)) digests.known.set(name, digest);
  }
  await digests.save();
}

/**
 * Deployed releases whose pods helm does not replace come first, with what they need: others may depend on the newest
 * revision.
 */
function batchesOf(releases: readonly Release[], deployed: Deployed): readonly (readonly Release[])[] {
  const first = new Set(releases.filter(({ id }) => hasOnDelete(deployed.get(id))));
  // Sets can grow while they are iterated.
  for (const one of first)
    for (const release of releases) if (one.needs.includes(release.id)) first.add(release);
  const isFirst = (release: Release) => first.has(release);
  return [releases.filter(isFirst), releases.filter((release) => !isFirst(release))].filter(
    ({ length }) => length > 0,
  );
}
