import { tellDrift } from '../helm/changed-releases.ts';
import { lastGoodRevision, rollBack } from '../helm/helm.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { pendingReleases } from '../helm/pending.ts';
import { deployedReleases } from '../helm/releases.ts';
import { TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';

/** Brings a release back to a revision; without one, to the last that was in service before. */
export async function rollBackRelease(
  context: EnvironmentContext,
  name: string,
  revision: number | undefined,
): Promise<void> {
  const { environment } = context;
  const release = (await declaredReleases()).find((candidate) => candidate.name === name);
  if (!release) throw new Error(`helmfile.yaml lost the release ${name} meanwhile`);
  const deployed = await deployedReleases(context);
  await pendingReleases(environment, [release], deployed);
  await tellDrift(context, [release], deployed, context.log);
  const wanted = revision ?? (await lastGoodRevision(context, release, true));
  if (wanted === undefined) {
    throw new TaskError({
      what: `${name} has no earlier revision to go back to`,
      why: 'only a revision that was once in service counts',
      advice: `see: helm --namespace ${release.namespace} history ${name}`,
    });
  }
  await rollBack(context, release, wanted);
  context.report('changed');
}
