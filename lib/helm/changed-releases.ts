import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../ground/project.ts';
import { redactSecrets } from '../secrets/sops.ts';
import type { Context, EnvironmentContext } from '../settings/context.ts';
import { type Drift, isDrift, readDrift } from './drift.ts';
import type { Release } from './helmfile.ts';
import { type DeployedRelease, renderedDigests, sameBesideReplicas } from './releases.ts';

export type Changed = {
  /** What an install has to touch. */
  readonly changed: readonly Release[];
  /** The replicas that autoscalers have set, by release: an install leaves them. */
  readonly scaled: ReadonlyMap<string, number>;
};

/**
 * The releases that are not deployed, would be rendered differently now, or differ in the cluster from what helm applied. With
 * words for helmfile these are all. What somebody has changed or deleted is logged.
 */
export async function findChanged(
  context: Context,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
  inputs: string,
): Promise<Changed> {
  const inPlace = (release: Release) =>
    deployed.find(({ name, namespace }) => name === release.name && namespace === release.namespace);
  const known = releases.filter((release) => inPlace(release)?.status === 'deployed');
  const all = context.passThrough.length > 0;
  const [digests, drifts] = await Promise.all([
    all || known.length === 0 ? new Map<string, string>() : renderedDigests(context, known, inputs),
    tellDrift(context, releases, deployed, context.log),
  ]);
  const scaled = await scaledReplicas(releases, drifts);
  const isAsRendered = ({ name }: Release, digest = ''): boolean =>
    digest === digests.get(name) || (scaled.has(name) && sameBesideReplicas(digest, digests.get(name) ?? ''));
  const changed = releases.filter(
    (release) =>
      all ||
      !known.includes(release) ||
      isDrift(drifts.get(release.name)) ||
      !isAsRendered(release, inPlace(release)?.digest),
  );
  return {
    changed,
    scaled: new Map([...scaled].filter(([name]) => changed.some((release) => release.name === name))),
  };
}

/**
 * Returns the replicas that autoscalers have set, by release, for the project's charts with a value for them, which helm would apply
 * otherwise. An autoscaler that somebody added scales the workload that has the release's name.
 */
async function scaledReplicas(
  releases: readonly Release[],
  drifts: ReadonlyMap<string, Drift>,
): Promise<ReadonlyMap<string, number>> {
  const scaled = new Map<string, number>();
  for (const { name, chart } of releases) {
    const count = drifts.get(name)?.autoscaled.get(name);
    if (!count || !chart.startsWith('./')) continue;
    if (/^replicas:/m.test(await readFile(join(root, chart, 'values.yaml'), 'utf8'))) scaled.set(name, count);
  }
  return scaled;
}

/** How many objects and fields of a release are named. */
const shownLines = 8;

/** Reads the drift of those of the releases whose objects should be there, and tells it line by line. */
export async function tellDrift(
  context: Pick<EnvironmentContext, '$' | 'secret' | 'environment'>,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
  tell: (line: string) => void,
): Promise<ReadonlyMap<string, Drift>> {
  const inPlace = releases.flatMap((release) =>
    deployed.filter(
      ({ name, namespace, status }) =>
        name === release.name && namespace === release.namespace && !/^(?:pending|uninstall)/.test(status),
    ),
  );
  const drifts = await readDrift(context, inPlace, (reason) =>
    tell(`cannot check for manual changes: ${reason}`),
  );
  // Somebody may have written a password anywhere.
  if ([...drifts.values()].some(isDrift)) await redactSecrets(context);
  for (const [name, { missing, changed, added, unready }] of drifts) {
    for (const line of unready) tell(`${name}: ${line}`);
    const lines = [...missing.map((object) => `${object} is missing`), ...changed];
    for (const [label, all] of [
      [`${name} was changed`, lines],
      [name, added],
    ] as const) {
      for (const line of all.slice(0, shownLines)) tell(`${label}: ${line}`);
      if (all.length > shownLines) tell(`${label}: ${all.length - shownLines} more`);
    }
  }
  return drifts;
}
