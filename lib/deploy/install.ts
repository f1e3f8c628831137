import { checkPasswords } from '../database/roles.ts';
import { findChanged } from '../helm/changed-releases.ts';
import { takeBackOptions } from '../helm/helm.ts';
import { namesText, type Selection, selectedReleases } from '../helm/helmfile.ts';
import { prepareNamespaces } from '../helm/namespaces.ts';
import { repairPending } from '../helm/pending.ts';
import { deployedReleases } from '../helm/releases.ts';
import { recallDigests, rememberDigests } from '../helm/rendered-digests.ts';
import { ensureRouteCertificates } from '../ingress/certificates.ts';
import type { Context } from '../settings/context.ts';
import { checkVault } from '../vault/health.ts';
import { checkDeployedPassword } from './database-password.ts';
import { runHelmfile } from './run-helmfile.ts';

/**
 * Installs or upgrades the selected releases and their needs, except those already deployed correctly. With
 * `passThrough` it always calls helmfile.
 */
export async function install(context: Context, selection: Selection): Promise<void> {
  const { environment } = context;
  const releases = await selectedReleases(environment.root, selection, 'with-needs');
  const [deployed, digests] = await Promise.all([deployedReleases(context), recallDigests(context)]);
  await repairPending(context, releases, deployed);

  const { changed, scaled } = await findChanged(context, releases, deployed, digests);
  if (changed.length > 0) {
    // Only releases that are not deployed have not been rendered yet.
    await checkPasswords(context, changed);
    await checkDeployedPassword(context, changed, deployed);
    await checkVault(context, changed);
    await prepareNamespaces(context, changed);
  }
  const certificates = await ensureRouteCertificates(context, releases);
  const unchanged = releases.filter((release) => !changed.includes(release));
  if (unchanged.length > 0) context.log(`unchanged: ${namesText(unchanged)}`);
  if (changed.length === 0) return context.report(certificates === 'changed' ? 'changed' : 'unchanged');
  context.log(`installing: ${namesText(changed)}`);
  const takingBack = await takeBackOptions();
  await runHelmfile(context, 'installing', changed, [
    ...[...scaled].flatMap(([name, count]) => ['--state-values-set', `releases.${name}.replicas=${count}`]),
    ...changed.flatMap(({ name }) => ['-l', `name=${name}`]),
    ...(takingBack.length === 0 ? ['sync'] : ['sync', '--sync-args', takingBack.join(' ')]),
    ...context.passThrough,
  ]);
  // The release devops has created the namespace by now.
  if (certificates === 'later') await ensureRouteCertificates(context, releases);
  context.report('changed');
  // Arguments for helmfile may change what it renders.
  if (context.passThrough.length > 0) return;
  const wanted = new Set(releases.map(({ name }) => name));
  // Their digests without the autoscaler's replicas are unknown until the next rendering.
  for (const name of scaled.keys()) wanted.delete(name);
  for (const { name, digest } of await deployedReleases(context))
    if (wanted.has(name)) digests.known.set(name, digest);
  await rememberDigests(context, digests);
}
