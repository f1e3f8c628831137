import { type ProviderName, providerOf } from '../cluster/providers.ts';
import type { Problem } from '../ground/schema.ts';
import { isTree, valueAt } from '../ground/tree.ts';
import { type AddressRange, addressRange, holdEverybody, isWithin, overlap } from './address-range.ts';
import type { Settings } from './schema.ts';

export function* rangeProblems(settings: Settings, provider: ProviderName): Generator<Problem> {
  const { cni, podCidr } = settings.cluster;
  const { podRange = podCidr } = providerOf({ provider });
  // A network plugin from a manifest may use another range.
  if (!/[./]/.test(cni) && podCidr !== podRange)
    yield {
      path: ['cluster', 'podCidr'],
      rule: `${podRange}, which ${provider} gives to its network \`${cni}\``,
    };
  const filled = (value: unknown) =>
    addressRange(value === '{{ .Values.cluster.podCidr }}' ? podCidr : value);
  yield* whitelistProblems(settings, filled);
  yield* loadBalancerProblems(settings, filled);
  yield* exceptProblems(settings, filled);
}

type Filled = (value: unknown) => AddressRange | undefined;

/** Whitelists that allow everybody. */
function* whitelistProblems(settings: Settings, filled: Filled): Generator<Problem> {
  for (const path of whitelists(settings)) {
    const ranges = listAt(settings, path).flatMap((range) => filled(range) ?? []);
    if (holdEverybody(ranges)) yield { path, rule: 'ranges that do not take in everybody together' };
  }
}

const whitelists = ({ releases }: Settings): string[][] =>
  Object.keys(releases).flatMap((name) =>
    ['adminWhitelist', 'internalWhitelist'].map((key) => ['releases', name, 'ingress', key]),
  );

/**
 * Load balancers that hide the client's address give every caller their own: a range with it would open /admin or
 * /api/internal to everybody.
 */
function* loadBalancerProblems(settings: Settings, filled: Filled): Generator<Problem> {
  const { cluster, ingress } = settings;
  const { cidrs, proxyProtocol } = ingress.loadBalancer;
  const path = ['ingress', 'loadBalancer'];
  if (proxyProtocol && ingress.controller !== 'traefik')
    yield {
      path: [...path, 'proxyProtocol'],
      rule: '`false`, since only traefik is configured by the tasks',
    };
  if (proxyProtocol && cidrs.length === 0)
    yield { path: [...path, 'cidrs'], rule: 'the load balancers from which the PROXY protocol is accepted' };
  if (proxyProtocol) return;
  const hidden = cidrs.flatMap((cidr) => addressRange(cidr) ?? []);
  const hides = (value: unknown): boolean => {
    const range = filled(value);
    return range !== undefined && hidden.some((other) => overlap(range, other));
  };
  if (hides(cluster.podCidr))
    yield {
      path: [...path, 'cidrs'],
      rule: `outside cluster.podCidr (${cluster.podCidr}), or /api/internal would be open to all callers; or set proxyProtocol`,
    };
  const rule =
    'ranges without the load balancers (ingress.loadBalancer.cidrs), whose address every caller has';
  for (const list of whitelists(settings)) if (listAt(settings, list).some(hides)) yield { path: list, rule };
}

/** A NetworkPolicy's exception must be inside its range, and therefore of the same family. */
function* exceptProblems(settings: Settings, filled: Filled): Generator<Problem> {
  const path = ['releases', 'devops', 'outside'];
  const outside = valueAt(settings, path);
  for (const name of Object.keys(isTree(outside) ? outside : {}))
    for (const [index, range] of listAt(settings, [...path, name, 'ranges']).entries()) {
      const outer = filled(valueAt(range, ['cidr']));
      for (const [position, except] of listAt(range, ['except']).entries()) {
        const inner = filled(except);
        if (inner === undefined || outer === undefined || isWithin(inner, outer)) continue;
        yield {
          path: [...path, name, 'ranges', String(index), 'except', String(position)],
          rule: `a part of \`${valueAt(range, ['cidr'])}\``,
        };
      }
    }
}

function listAt(value: unknown, path: readonly string[]): readonly unknown[] {
  const list = valueAt(value, path);
  return Array.isArray(list) ? list : [];
}
