import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../settings/context.ts';
import { isDrift, tellDrift } from './drift.ts';
import type { Release } from './helmfile.ts';
import { type DeployedRelease, findDeployed, isSameExceptReplicas } from './releases.ts';
import { renderedDigests } from './rendered-digests.ts';

export type Changed = {
  /** The releases that have to be installed. */
  readonly changed: readonly Release[];
  /** The replicas that autoscalers have set, by release: an install keeps them. */
  readonly scaled: ReadonlyMap<string, number>;
};

/**
 * The releases that are not deployed, would be rendered differently now, or differ in the cluster from what helm applied; all of them
 * if arguments for helmfile are given. Manual changes are logged.
 */
export async function findChanged(
  context: Context,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
  inputs: string,
): Promise<Changed> {
  const known = releases.filter((release) => findDeployed(deployed, release)?.status === 'deployed');
  const all = context.passThrough.length > 0;
  const [digests, drifts] = await Promise.all([
    all || known.length === 0 ? new Map<string, string>() : renderedDigests(context, known, inputs),
    tellDrift(context, releases, deployed, context.log),
  ]);
  const scaled = new Map<string, number>();
  for (const { name, chart } of releases) {
    // The scaled workload has the name of its release. helm would apply the value `replicas` of a chart of the project.
    const count = drifts.get(name)?.autoscaled.get(name);
    if (!count || !chart.startsWith('./')) continue;
    const values = await readFile(join(context.environment.root, chart, 'values.yaml'), 'utf8');
    if (/^replicas:/m.test(values)) scaled.set(name, count);
  }
  const isAsRendered = (release: Release): boolean => {
    const { digest = '' } = findDeployed(deployed, release) ?? {};
    const rendered = digests.get(release.name) ?? '';
    return digest === rendered || (scaled.has(release.name) && isSameExceptReplicas(digest, rendered));
  };
  const changed = releases.filter(
    (release) =>
      all || !known.includes(release) || isDrift(drifts.get(release.name)) || !isAsRendered(release),
  );
  const kept = changed.flatMap(({ name }) =>
    scaled.has(name) ? [[name, scaled.get(name) ?? 0] as const] : [],
  );
  return { changed, scaled: new Map(kept) };
}
