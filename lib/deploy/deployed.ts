import { TaskError } from '@k8s-deployment/runner';
import { certificateFiles } from '../certificates/files.ts';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand, taskLine } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { lastGoodRevision, readRevision, refuseBusy, rollBack, type StoredRevision } from '../helm/helm.ts';
import {
  declaredRelease,
  declaredReleases,
  namesText,
  needingAny,
  type Release,
  type Selection,
  selector,
  selectReleases,
} from '../helm/helmfile.ts';
import { type DeployedRelease, deployedReleases } from '../helm/releases.ts';
import { removeRouteCertificates } from '../ingress/certificates.ts';
import type { Context, EnvironmentContext, Outcome } from '../settings/context.ts';
import { testWords, uninstallWords } from './commands.ts';
import { replaceOlderPods } from './replace-pods.ts';
import { runHelmfile } from './run-helmfile.ts';

/** Runs the helm tests of the selected releases. Throws `TaskError` with the output of a failed check. */
export async function test(context: Context, selection: Selection): Promise<void> {
  const { installed: releases } = await selectReleases(context, selection);
  if (releases.length === 0) return context.log('left out by the settings: nothing to test');
  const deployed = await deployedReleases(context);
  const missing = releases.filter(({ id }) => deployed.get(id)?.status !== 'deployed');
  if (missing.length > 0) {
    const { app } = selection;
    throw new TaskError({
      what: `not deployed: ${namesText(missing)}`,
      why: 'only a deployed release can be tested',
      advice: `run ${taskCommand(app === undefined ? 'install-all' : `install-app ${app}`)}`,
    });
  }
  await runHelmfile(context, 'testing', releases, [...selector(selection), ...testWords]);
}

/** Rolls a release back to a revision, by default the previous one that was in service. */
export async function rollBackRelease(
  context: EnvironmentContext,
  name: string,
  revision: number | undefined,
): Promise<void> {
  const release = await declaredRelease(context.environment.root, name);
  const deployed = await deployedReleases(context);
  const before = deployed.get(release.id);
  if (before === undefined)
    throw new TaskError({
      what: `${name} is not installed`,
      why: 'the cluster has no revision of it',
      advice: `run ${taskCommand(`install-app ${release.app}`)}`,
    });
  await refuseBusy(context, [release], deployed);
  await tellDrift(context, [release], deployed, context.log);
  const wanted = revision ?? (await lastGoodRevision(context, release));
  const advice = `see: eval "$(${taskLine('env')})"; helm --namespace ${release.namespace} history ${name}`;
  if (wanted === undefined) {
    const why = 'only a revision that was once in service counts';
    throw new TaskError({ what: `${name} has no earlier revision to roll back to`, why, advice });
  }
  const next = await readRevision(context, release, wanted);
  await refuseFormerAuthority(context, release, before, next);
  await rollBack(context, release, next, before).catch((error: TaskError) => {
    const { why = '' } = error;
    if (!/release has no \d+ version/.test(why)) throw error;
    throw new TaskError({ what: `${name} has no revision ${wanted}`, why, advice, cause: error });
  });
  await replaceOlderPods(context, [release], await deployedReleases(context));
  context.report('changed');
}

/**
 * Throws `TaskError` if a revision has certificates of another authority than the present one, which pods of other
 * releases trust.
 */
async function refuseFormerAuthority(
  { environment }: EnvironmentContext,
  { app, name }: Release,
  before: DeployedRelease,
  { revision, manifest }: StoredRevision,
): Promise<void> {
  const authority = await textIfThere(certificateFiles(environment, 'ca').certificate);
  const hasAuthority = (text: string) => text.includes(JSON.stringify(authority?.trim()).slice(1, -1));
  if (authority === undefined || !hasAuthority(before.manifest)) return;
  if (!manifest.includes('BEGIN CERTIFICATE') || hasAuthority(manifest)) return;
  throw new TaskError({
    what: `revision ${revision} of ${name} has certificates of a former authority`,
    why: 'servers and pods of the present authority could not verify each other; nothing was changed',
    advice: `restore the files of that time, such as by \`git revert\`, then run ${taskCommand(`install-app ${app}`)}`,
  });
}

/** Uninstalls an application and waits until its objects are gone; logs which other releases need it. */
export async function uninstall(context: Context, selection: { readonly app: string }): Promise<Outcome> {
  const { root } = context.environment;
  const releases = await declaredReleases(root, selection);
  const deployed = await deployedReleases(context);
  await refuseBusy(context, releases, deployed);
  const needing = needingAny(await declaredReleases(root), releases).filter(({ id }) => deployed.has(id));
  if (needing.length > 0)
    context.log(`these installed releases need ${selection.app}: ${namesText(needing)}`);
  await runHelmfile(context, 'uninstalling', releases, [...selector(selection), ...uninstallWords]);
  await removeRouteCertificates(context, releases);
  return releases.some(({ id }) => deployed.has(id)) ? 'changed' : 'unchanged';
}
