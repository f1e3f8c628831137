import { TaskError } from '@k8s-deployment/runner';
import { tellDrift } from '../helm/drift.ts';
import { lastGoodRevision, rollBack } from '../helm/helm.ts';
import { declaredRelease } from '../helm/helmfile.ts';
import { pendingReleases } from '../helm/pending.ts';
import { deployedReleases } from '../helm/releases.ts';
import type { EnvironmentContext } from '../settings/context.ts';

/** Rolls a release back to a revision; without one, to the last that was in service before. */
export async function rollBackRelease(
  context: EnvironmentContext,
  name: string,
  revision: number | undefined,
): Promise<void> {
  const release = await declaredRelease(context.environment.root, name);
  const deployed = await deployedReleases(context);
  await pendingReleases(context, [release], deployed);
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
