import { kubectlList } from '../kubernetes/kubectl.ts';
import { redactSecrets } from '../secrets/sops.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import type { Release } from './helmfile.ts';
import { livePairs, type Pair } from './live-objects.ts';
import { compareFields, faultsOf, lostField, nameOf, removesItself } from './object-drift.ts';
import { type DeployedRelease, findDeployed } from './releases.ts';

/** How the objects of a release in the cluster differ from what helm applied. */
export type Drift = {
  /** Deleted objects, such as `deployment frontend/app1-front`. */
  readonly missing: readonly string[];
  /** A line for each changed field: object, field, its value and who set it, the value of helm. */
  readonly changed: readonly string[];
  /** A line for each field that somebody added. Not drift: helm keeps it. */
  readonly added: readonly string[];
  /** Faults, such as `deployment frontend/app1-front has 1 of 2 pods ready`. */
  readonly unready: readonly string[];
  /** Replicas set by autoscalers, by the name of the workload. Not drift. */
  readonly autoscaled: ReadonlyMap<string, number>;
};

/** True if an install has something to restore. */
export const isDrift = (drift: Drift | undefined): boolean =>
  drift !== undefined && drift.missing.length + drift.changed.length > 0;

/** How many objects and fields of a release are named. */
const shownLines = 8;

/**
 * Reads the drift of the releases that are deployed, by their names, and tells it line by line. Throws `TaskError` if the cluster does
 * not answer.
 */
export async function tellDrift(
  context: Pick<EnvironmentContext, '$' | 'secret' | 'environment'>,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
  tell: (line: string) => void,
): Promise<ReadonlyMap<string, Drift>> {
  const found = releases.flatMap((release) => findDeployed(deployed, release) ?? []);
  const settled = found.filter(({ status }) => !/^(?:pending|uninstall)/.test(status));
  const pairs = await livePairs(context, settled, tell);
  const scaled = pairs.some(wasScaled) ? await scaledWorkloads(context) : [];
  const lostNamespaces = pairs.filter(isLostNamespace).map(({ object }) => object.metadata.name);
  const drifts = new Map(
    settled.map(({ name }) => {
      const own = pairs.filter(({ release }) => release.name === name);
      return [name, driftOf(own, scaled, lostNamespaces)];
    }),
  );
  // Any field may hold a password.
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

function driftOf(
  pairs: readonly Pair[],
  scaled: readonly string[],
  lostNamespaces: readonly string[],
): Drift {
  const isScaled = ({ object, live }: Pair): boolean =>
    live !== undefined &&
    object.spec?.replicas !== undefined &&
    scaled.includes(workload(live.metadata.namespace, live.kind, live.metadata.name));
  const missing = pairs
    .filter(({ live, object }) => live === undefined && !removesItself(object))
    // The objects in a namespace were deleted with it.
    .filter(({ object }) => !lostNamespaces.includes(object.metadata.namespace ?? ''));
  const compared = pairs.map((pair) => ({ pair, ...compareFields(pair) }));
  const changed = compared.flatMap(({ pair, lost }) =>
    lost
      .filter(({ path }) => path !== '.spec.replicas' || !isScaled(pair))
      .map((field) => `${nameOf(pair)} ${lostField(pair, field)}`),
  );
  const added = compared.flatMap(({ pair, added }) =>
    added
      // A pause is reported as a fault.
      .filter(({ path }) => path !== '.spec.paused' && path !== '.spec.replicas')
      .map(
        ({ path, manager }) =>
          `${nameOf(pair)} ${path} was added by ${manager}; an install keeps it: remove it by hand`,
      ),
  );
  const autoscaled = pairs
    .filter(isScaled)
    .map(({ object, live }) => [object.metadata.name, live?.spec?.replicas ?? 0] as const);
  const unready = pairs.flatMap((pair) => faultsOf(pair).map((fault) => `${nameOf(pair)} ${fault}`));
  return { missing: missing.map(nameOf), changed, added, unready, autoscaled: new Map(autoscaled) };
}

const isLostNamespace = ({ object, live }: Pair): boolean =>
  object.kind === 'Namespace' && (live === undefined || live.metadata.deletionTimestamp !== undefined);

/** True if somebody or an autoscaler has ever scaled the workload. */
const wasScaled = ({ live }: Pair): boolean =>
  live?.metadata.managedFields?.some(({ subresource }) => subresource === 'scale') ?? false;

type Autoscaler = {
  readonly metadata: { readonly namespace?: string };
  readonly spec: { readonly scaleTargetRef: { readonly kind: string; readonly name: string } };
};

/** The workloads whose replicas an autoscaler decides, whoever created it; KEDA creates one, too. */
async function scaledWorkloads(context: ShellContext): Promise<readonly string[]> {
  const autoscalers = await kubectlList<Autoscaler>(context, 'get', 'horizontalpodautoscalers', '-A');
  return autoscalers.map(({ metadata, spec: { scaleTargetRef } }) =>
    workload(metadata.namespace, scaleTargetRef.kind, scaleTargetRef.name),
  );
}

const workload = (...words: readonly (string | undefined)[]): string => words.join('|');
