import { TaskError } from '@k8s-deployment/runner';
import { tellDrift } from '../helm/drift.ts';
import { lastGoodRevision, refuseBusy, rollBack } from '../helm/helm.ts';
import {
  declaredRelease,
  declaredReleases,
  type Release,
  type Selection,
  selector,
} from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import type { Context, EnvironmentContext } from '../settings/context.ts';
import { runHelmfile } from './run-helmfile.ts';

/** Rolls a release back to a revision, by default the previous one that was in service. */
export async function rollBackRelease(
  context: EnvironmentContext,
  name: string,
  revision: number | undefined,
): Promise<void> {
  const release = await declaredRelease(context.environment.root, name);
  const deployed = await deployedReleases(context);
  await refuseBusy(context, [release], deployed);
  await tellDrift(context, [release], deployed, context.log);
  const wanted = revision ?? (await lastGoodRevision(context, release, true));
  if (wanted === undefined) {
    throw new TaskError({
      what: `${name} has no earlier revision to roll back to`,
      why: 'only a revision that was once in service counts',
      advice: `see: helm --namespace ${release.namespace} history ${name}`,
    });
  }
  await rollBack(context, release, wanted);
  context.report('changed');
}

/** Uninstalls the selected releases and waits until their objects are gone. Returns the releases. */
export async function uninstall(context: Context, selection: Selection): Promise<readonly Release[]> {
  const releases = await declaredReleases(context.environment.root, selection);
  await refuseBusy(context, releases, await deployedReleases(context));
  await runHelmfile(context, 'uninstalling', releases, [...selector(selection), 'destroy']);
  return releases;
}
