import { TaskError } from '@k8s-deployment/runner';
import { withPostgresql } from '../cluster/cluster.ts';
import { providerOf } from '../cluster/providers.ts';
import { acceptsLogin } from '../database/login.ts';
import { checkPasswords, passwordAdvice, superuserLogin, superuserOf } from '../database/roles.ts';
import { valueAt } from '../ground/tree.ts';
import { refuseBusy, repairReleases, takeBackOptions } from '../helm/helm.ts';
import { atOnce, namesText, type Release, type Selection, selectReleases } from '../helm/helmfile.ts';
import { keepReplicas } from '../helm/live-objects.ts';
import { prepareNamespaces } from '../helm/namespaces.ts';
import { type Deployed, deployedReleases } from '../helm/releases.ts';
import { findChanged, recallDigests } from '../helm/rendered.ts';
import { ensureRouteCertificates, isFront } from '../ingress/certificates.ts';
import { checkPlace, readRecord } from '../ingress/installed.ts';
import type { Context } from '../settings/context.ts';
import { releaseValues } from '../settings/settings.ts';
import { checkVault } from '../vault/health.ts';
import { batchesOf, finishReplacement, replaceOlderPods } from './replace-pods.ts';
import { runHelmfile } from './run-helmfile.ts';

/**
 * Installs or upgrades the selected releases and their needs, except those already deployed correctly, and removes
 * deployed ones that are left out. With `passThrough` it always calls helmfile.
 */
export async function install(context: Context, selection: Selection): Promise<void> {
  const { environment, settings } = context;
  const { installed: releases, leftOut } = await selectReleases(context, { ...selection, withNeeds: true });
  const [deployed, digests] = await Promise.all([deployedReleases(context), recallDigests(context)]);
  const removed = leftOut.filter(({ id }) => deployed.has(id));
  await refuseBusy(context, [...releases, ...removed], deployed);

  const { changed, unchanged, unfinished, scaled } = await findChanged(context, releases, deployed, digests);
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
  if (unchanged.length > 0) context.log(`unchanged: ${namesText(unchanged)}`);
  if (leftOut.length > 0) context.log(`left out by the settings: ${namesText(leftOut)}`);
  const replaced = await finishReplacement(context, unfinished, deployed);
  if (changed.length + removed.length === 0)
    return context.report(certificates === 'changed' || replaced ? 'changed' : 'unchanged');
  if (changed.length > 0) context.log(`installing: ${namesText(changed)}`);
  if (removed.length > 0) context.log(`removing: ${namesText(removed)}`);
  await repairReleases(context, [...changed, ...removed], deployed);
  for (const release of changed)
    if (valueAt(releaseValues(settings, release), ['autoscaling', 'enabled']) === true)
      await keepReplicas(context, deployed.get(release.id));
  const options = await takeBackOptions();
  let now = deployed;
  for (const batch of batchesOf([...changed, ...removed], deployed)) {
    await runHelmfile(context, 'installing', batch, [
      ...[...scaled].flatMap(([name, count]) => ['--state-values-set', `releases.${name}.replicas=${count}`]),
      ...batch.flatMap(({ name }) => ['-l', `name=${name}`]),
      ...['sync', ...atOnce, ...(options.length > 0 ? ['--sync-args', options.join(' ')] : [])],
    ]);
    now = await deployedReleases(context);
    await replaceOlderPods(context, batch, now);
  }
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
 * Throws `TaskError` if PostgreSQL refuses the superuser's password of the encrypted file, because nothing that needs
 * the superuser would work. Rejects if either cannot be read.
 */
export async function checkPassword(context: Context): Promise<void> {
  const login = await superuserLogin(context);
  if (!(await withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }))))
    throw refused(context);
}

/**
 * Throws `TaskError` if the deployed PostgreSQL refuses that password: `devops` would give the applications wrong
 * ones before `postgresql` fails. Does nothing if neither is in `changed`, or if PostgreSQL does not answer.
 */
async function checkDeployedPassword(
  context: Context,
  changed: readonly Release[],
  deployed: Deployed,
): Promise<void> {
  if (!changed.some(({ name }) => name === 'devops' || name === 'postgresql')) return;
  if (!deployed.has('database/postgresql')) return;
  const login = await superuserLogin(context);
  const accepts = withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }), 0);
  // The install may repair a server that does not answer.
  if (!(await accepts.catch(() => true))) throw refused(context, '; nothing was changed');
}

function refused({ environment, settings }: Context, consequence = ''): TaskError {
  const { name, secret } = superuserOf(settings);
  return new TaskError({
    what: `the database refuses the password of \`${name}\``,
    why: `the server and the encrypted file have different passwords${consequence}`,
    advice: passwordAdvice(environment.name, secret),
  });
}
