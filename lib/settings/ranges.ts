import { isIPv4 } from 'node:net';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import type { Problem } from '../ground/schema.ts';
import { isTree, valueAt } from '../ground/tree.ts';
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
  const whitelists = Object.keys(settings.releases)
    .flatMap((name) =>
      ['adminWhitelist', 'internalWhitelist'].map((key) => ['releases', name, 'ingress', key]),
    )
    .map((path) => ({ path, ranges: listAt(settings, path).flatMap((range) => filled(range) ?? []) }));
  for (const { path, ranges } of whitelists)
    if (holdEverybody(ranges)) yield { path, rule: 'ranges that do not take in everybody together' };
  yield* loadBalancerProblems(settings, whitelists);
  yield* exceptProblems(settings, filled);
}

type Whitelist = { readonly path: readonly string[]; readonly ranges: readonly AddressRange[] };

/**
 * Load balancers that hide the client's address give every caller their own: a range with it would open /admin or
 * /api/internal to everybody.
 */
function* loadBalancerProblems(
  { cluster: { podCidr }, ingress }: Settings,
  whitelists: readonly Whitelist[],
): Generator<Problem> {
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
  const hidden = rangesIn(cidrs);
  const hide = (range: AddressRange): boolean => hidden.some((other) => overlap(range, other));
  if (rangesIn([podCidr]).some(hide))
    yield {
      path: [...path, 'cidrs'],
      rule: `outside cluster.podCidr (${podCidr}), or /api/internal would be open to all callers; or set proxyProtocol`,
    };
  const rule =
    'ranges without the load balancers (ingress.loadBalancer.cidrs), whose address every caller has';
  for (const list of whitelists) if (list.ranges.some(hide)) yield { path: list.path, rule };
}

const rangesIn = (values: readonly unknown[]) => values.flatMap((value) => addressRange(value) ?? []);

/** A NetworkPolicy's exception must be inside its range, and therefore of the same family. */
function* exceptProblems(settings: Settings, filled: typeof addressRange): Generator<Problem> {
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

/** A range of addresses as text of 0 and 1, 32 for IPv4 and 128 for IPv6. */
type AddressRange = { readonly bits: string; readonly length: number };

const binary = (values: readonly number[], width: number): string =>
  values.map((value) => value.toString(2).padStart(width, '0')).join('');

function bitsOf(address: string): string {
  if (isIPv4(address)) return binary(address.split('.').map(Number), 8);
  // The URL parser normalises IPv6: groups of hexadecimal digits with at most one `::`.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail)];
  return binary([...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last], 16);
}

/** Prefix of `::ffff:a.b.c.d`, a mapped IPv4 address (RFC 4291, 2.5.5.2). */
const mapped = '0'.repeat(80) + '1'.repeat(16);

/**
 * Parses `10.244.0.0/16` or `fd00::/48`; undefined for anything else, including `::ffff:10.0.0.0/104`, which only Go
 * programs read as IPv4.
 */
export function addressRange(value: unknown): AddressRange | undefined {
  const range = parse(value);
  return range?.bits.startsWith(mapped) ? undefined : range;
}

/** `10.0.0.0/8` for `::ffff:10.0.0.0/104`; otherwise undefined. */
export function plainForm(value: unknown): string | undefined {
  const { bits, length } = parse(value) ?? { bits: '', length: 0 };
  if (!bits.startsWith(mapped) || length < mapped.length) return undefined;
  const bytes = [0, 8, 16, 24].map((start) => Number.parseInt(bits.slice(96 + start, 104 + start), 2));
  return `${bytes.join('.')}/${length - mapped.length}`;
}

function parse(value: unknown): AddressRange | undefined {
  const [, address = '', digits = ''] =
    (typeof value === 'string' && /^([\da-f.:]+)\/(0|[1-9]\d{0,2})$/i.exec(value)) || [];
  const length = Number(digits);
  // `isIPv6` would compile its pattern at every start, which takes 13 ms.
  const longest = isIPv4(address) ? 32 : URL.canParse(`http://[${address}]`) ? 128 : 0;
  if (longest === 0 || length > longest) return undefined;
  return { bits: bitsOf(address), length };
}

/** True if no bit is set after the prefix and the range is not the whole family. */
export const isNetwork = ({ bits, length }: AddressRange): boolean =>
  length > 0 && !bits.slice(length).includes('1');

/** True if `inner` is a proper part of `outer`, as Kubernetes requires for `except` in a NetworkPolicy. */
export const isWithin = (inner: AddressRange, outer: AddressRange): boolean =>
  inner.bits.length === outer.bits.length &&
  inner.length > outer.length &&
  inner.bits.startsWith(outer.bits.slice(0, outer.length));

/** True if the ranges have an address in common. */
export const overlap = (one: AddressRange, other: AddressRange): boolean => {
  const length = Math.min(one.length, other.length);
  return one.bits.length === other.bits.length && one.bits.slice(0, length) === other.bits.slice(0, length);
};

/** Prefixes of all internet hosts: IPv4 below multicast, and 2000::/3 (RFC 4291, 2.4). */
const hosts = [
  { size: 32, beginnings: ['0', '10', '110'] },
  { size: 128, beginnings: ['001'] },
];

/** True if the ranges together cover all hosts of a family. */
const holdEverybody = (ranges: readonly AddressRange[]): boolean =>
  hosts.some(({ size, beginnings }) => {
    const prefixes = ranges
      .filter(({ bits }) => bits.length === size)
      .map(({ bits, length }) => bits.slice(0, length));
    const hold = (beginning: string): boolean =>
      prefixes.some((prefix) => beginning.startsWith(prefix)) ||
      (prefixes.some((prefix) => prefix.startsWith(beginning)) &&
        hold(`${beginning}0`) &&
        hold(`${beginning}1`));
    return beginnings.every(hold);
  });
