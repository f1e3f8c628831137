import { BlockList, isIPv4 } from 'node:net';

/*
 * Semantics of NetworkPolicies (networking.k8s.io/v1): a pod that no policy of a direction selects is unrestricted in
 * it; otherwise it may do what at least one policy allows. A connection needs both ends. Computed here, so that charts
 * can be checked without a cluster that enforces policies. What no chart uses is refused, not ignored.
 */

function expected<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`Expected ${what}, as all policies of the charts have`);
  return value;
}

type Labels = Readonly<Record<string, string>>;

export type Selector = { readonly matchLabels?: Labels };

export type Peer = {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
};

type Protocol = 'TCP' | 'UDP';
type PolicyPort = { readonly protocol?: Protocol; readonly port?: number | string };

export type Policy = {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly ('Ingress' | 'Egress')[];
    readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports?: readonly PolicyPort[] }[];
    readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly PolicyPort[] }[];
  };
};

/** A pod or, without `pod`, an address outside the pod network. */
export type Party = {
  readonly address: string;
  readonly pod?: {
    readonly namespace: string;
    readonly namespaceLabels: Labels;
    readonly labels: Labels;
    readonly ports?: readonly {
      readonly name: string;
      readonly containerPort: number;
      protocol?: Protocol;
    }[];
  };
};

export type Port = { readonly port: number; readonly protocol: Protocol };

/** True when the labels match; an empty selector matches everything. */
export function selects(selector: Selector, labels: Labels): boolean {
  if ('matchExpressions' in selector) throw new Error('Expected matchLabels only, got matchExpressions');
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

function holds(cidr: string, address: string): boolean {
  const [base = '', length] = cidr.split('/');
  const range = new BlockList();
  range.addSubnet(base, Number(length), isIPv4(base) ? 'ipv4' : 'ipv6');
  return range.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

function isPeer(peer: Peer, party: Party, policyNamespace: string): boolean {
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    return holds(cidr, party.address) && !except.some((range) => holds(range, party.address));
  }
  const { pod } = party;
  if (!pod) return false;
  const inNamespace = peer.namespaceSelector
    ? selects(peer.namespaceSelector, pod.namespaceLabels)
    : pod.namespace === policyNamespace;
  return inNamespace && selects(peer.podSelector ?? {}, pod.labels);
}

/** True when a port of a rule is the requested one; names are those of the called pod's containers. */
function isPort(rule: PolicyPort, asked: Port, called: Party): boolean {
  if ('endPort' in rule) throw new Error('Expected single ports, got endPort');
  if (expected(rule.protocol, 'a protocol') !== asked.protocol) return false;
  if (expected(rule.port, 'a port') === asked.port) return true;
  return (called.pod?.ports ?? []).some(
    ({ name, containerPort, protocol = 'TCP' }) =>
      name === rule.port && containerPort === asked.port && protocol === asked.protocol,
  );
}

/** Verdict of one end: that of the policies that select it. */
function lets(
  policies: readonly Policy[],
  direction: 'Ingress' | 'Egress',
  own: Party,
  other: Party,
  asked: Port,
): boolean {
  const { pod } = own;
  if (!pod) return true;
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace &&
      expected(spec.policyTypes, 'policyTypes').includes(direction) &&
      selects(spec.podSelector, pod.labels),
  );
  if (selecting.length === 0) return true;
  const called = direction === 'Ingress' ? own : other;
  return selecting.some(({ metadata, spec }) => {
    const { ingress = [], egress = [] } = spec;
    const rules =
      direction === 'Ingress'
        ? ingress.map(({ from = [], ports = [] }) => ({ peers: from, ports }))
        : egress.map(({ to = [], ports = [] }) => ({ peers: to, ports }));
    return rules.some(
      ({ peers, ports }) =>
        (peers.length === 0 || peers.some((peer) => isPeer(peer, other, metadata.namespace ?? ''))) &&
        (ports.length === 0 || ports.some((port) => isPort(port, asked, called))),
    );
  });
}

export function verdict(policies: readonly Policy[], from: Party, to: Party, asked: Port) {
  const egress = lets(policies, 'Egress', from, to, asked);
  const ingress = lets(policies, 'Ingress', to, from, asked);
  return { egress, ingress, allowed: egress && ingress };
}
