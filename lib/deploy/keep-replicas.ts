import { valueAt } from '../ground/tree.ts';
import type { Release } from '../helm/helmfile.ts';
import { manifestObjects } from '../helm/live-objects.ts';
import type { Deployed } from '../helm/releases.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import type { Context } from '../settings/context.ts';
import { releaseValues } from '../settings/release-values.ts';

/**
 * Keeps the number of pods of releases that get an autoscaler: it would fall to 1 when helm no longer sets it, until
 * the autoscaler has measured. A field stays if somebody else has set it, too (Kubernetes: "Transferring ownership").
 */
export async function keepReplicas(
  { $, environment, settings }: Pick<Context, '$' | 'environment' | 'settings'>,
  releases: readonly Release[],
  deployed: Deployed,
): Promise<void> {
  for (const release of releases) {
    const before = deployed.get(release.id);
    const isScaled = valueAt(releaseValues(settings, release), ['autoscaling', 'enabled']) === true;
    if (before === undefined || !isScaled) continue;
    for (const { apiVersion, kind, metadata, spec } of await manifestObjects(before.manifest, before)) {
      if (kind !== 'Deployment' || spec?.replicas === undefined) continue;
      const { name, namespace } = metadata;
      const words = ['-n', namespace, 'get', 'deployment', name, '--ignore-not-found'];
      const live = await $({ quiet: true })`${kubectl(environment)} ${words} -o jsonpath={.spec.replicas}`;
      if (live.stdout === '') continue;
      const own = {
        apiVersion,
        kind,
        metadata: { name, namespace },
        spec: { replicas: Number(live.stdout) },
      };
      const apply = ['apply', '--server-side', '--field-manager', 'k8s-deployment', '-f', '-'];
      await $({ quiet: true, input: JSON.stringify(own) })`${kubectl(environment)} ${apply}`;
    }
  }
}
