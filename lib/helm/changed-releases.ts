import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../settings/context.ts';
import { isDrift, tellDrift } from './drift.ts';
import type { Release } from './helmfile.ts';
import { type Deployed, digestOf, isSameExceptReplicas } from './releases.ts';
import { render } from './render.ts';
import type { RenderedDigests } from './rendered-digests.ts';

export type Changed = {
  readonly changed: readonly Release[];
  /** Replicas set by autoscalers, by release; an install keeps them. */
  readonly scaled: ReadonlyMap<string, number>;
};

/**
 * Releases that are not deployed, would render differently, or drifted in the cluster; all of them if helmfile gets
 * arguments. Logs manual changes.
 */
export async function findChanged(
  context: Context,
  releases: readonly Release[],
  deployed: Deployed,
  digests: RenderedDigests,
): Promise<Changed> {
  const known = releases.filter(({ id }) => deployed.get(id)?.status === 'deployed');
  const all = context.passThrough.length > 0;
  const isComplete = all || known.every(({ name }) => digests.known.has(name));
  const [drifts, rendered] = await Promise.all([
    tellDrift(context, releases, deployed, context.log),
    isComplete ? undefined : render(context, known),
  ]);
  for (const [name, texts] of rendered ?? []) digests.known.set(name, digestOf(texts));
  if (rendered) await digests.save();
  const scaled = new Map<string, number>();
  for (const { name, chart } of releases) {
    // An autoscaled workload is named like its release. `replicas` is a value of the project's own charts.
    const count = drifts.get(name)?.autoscaled.get(name);
    if (!count || !chart.startsWith('./')) continue;
    const values = await readFile(join(context.environment.root, chart, 'values.yaml'), 'utf8');
    if (/^replicas:/m.test(values)) scaled.set(name, count);
  }
  const isAsRendered = ({ id, name }: Release): boolean => {
    const digest = deployed.get(id)?.digest ?? '';
    const rendered = digests.known.get(name) ?? '';
    return digest === rendered || (scaled.has(name) && isSameExceptReplicas(digest, rendered));
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
