import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { holds, type Party, type Peer, type Policy, verdict } from '../../network/verdict.ts';

const test = suite('verdicts of network policies');

const pod = (namespace: string, labels: Record<string, string> = {}, address = '10.0.0.1'): Party => ({
  address,
  pod: {
    namespace,
    namespaceLabels: { 'kubernetes.io/metadata.name': namespace },
    labels,
    ports: [{ name: 'http', containerPort: 8080 }],
  },
});

const policy = (spec: Policy['spec'], namespace = 'here'): Policy => ({
  metadata: { name: 'one', namespace },
  spec,
});

const http = { port: 8080, protocol: 'TCP' } as const;
const server = pod('here', { app: 'server' });
const client = pod('there', { app: 'client' }, '10.0.1.1');
const outside: Party = { address: '192.0.2.7' };

const may = (
  policies: Policy[],
  from: Party,
  to: Party,
  port: { port: number; protocol: 'TCP' | 'UDP' } = http,
) => verdict(policies, from, to, port).allowed;

test('without a policy everything is allowed', () => {
  assert.ok(may([], client, server) && may([], outside, server) && may([], server, outside));
});

test('a policy without rules denies its direction to the pods that it selects, in its namespace', () => {
  const deny = policy({ podSelector: {}, policyTypes: ['Ingress'] });
  assert.not.ok(may([deny], client, server));
  assert.not.ok(may([deny], outside, server));
  assert.ok(may([deny], server, client), 'the other direction is open');
  assert.ok(may([deny], server, client) && may([policy(deny.spec, 'elsewhere')], client, server));
  assert.ok(may([policy({ podSelector: { matchLabels: { app: 'other' } } })], client, server));
});

test('without policyTypes, a policy covers Ingress, and Egress if it has rules for it', () => {
  assert.not.ok(may([policy({ podSelector: {} })], client, server));
  assert.ok(may([policy({ podSelector: {} })], server, client));
  assert.not.ok(may([policy({ podSelector: {}, egress: [] })], server, client));
});

test('policies add up, and both ends must allow a connection', () => {
  const deny = policy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  const accept = policy({ podSelector: {}, ingress: [{}] });
  assert.ok(may([deny, accept], client, server));
  const silent = policy({ podSelector: {}, policyTypes: ['Egress'] }, 'there');
  assert.equal(verdict([deny, accept, silent], client, server, http), {
    egress: false,
    ingress: true,
    allowed: false,
  });
});

const accepts = (...from: Peer[]) => [policy({ podSelector: {}, ingress: [{ from }] })];

test('a peer selects pods here, all pods of namespaces, or pods in namespaces', () => {
  const byPod = { podSelector: { matchLabels: { app: 'client' } } };
  const byNamespace = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'there' } } };
  assert.not.ok(may(accepts(byPod), client, server), 'without a namespace: pods of the policy’s own');
  assert.ok(may(accepts(byPod), pod('here', { app: 'client' }), server));
  assert.ok(may(accepts(byNamespace), client, server));
  assert.ok(may(accepts({ ...byPod, ...byNamespace }), client, server));
  assert.not.ok(may(accepts({ ...byPod, ...byNamespace }), pod('there'), server));
  assert.not.ok(may(accepts({ ...byPod, ...byNamespace }), pod('here', { app: 'client' }), server));
  assert.ok(may(accepts({ namespaceSelector: {} }), client, server), 'all namespaces');
  assert.not.ok(may(accepts({ namespaceSelector: {} }), outside, server), 'and no address outside');
  assert.ok(may(accepts(), outside, server), 'an empty list allows everybody');
});

test('an address block also covers pods, except those in its exceptions', () => {
  const block = { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/16'] } };
  assert.ok(may(accepts(block), outside, server));
  assert.not.ok(may(accepts(block), client, server));
  assert.ok(may(accepts({ ipBlock: { cidr: '10.0.1.0/24' } }), client, server));
  assert.ok(holds('192.0.2.0/31', '192.0.2.1') && !holds('192.0.2.0/31', '192.0.2.2'));
  assert.ok(holds('255.255.255.255/32', '255.255.255.255') && !holds('::/0', '192.0.2.1'));
});

test('ports: numbers, names of the called pod, protocols', () => {
  const on = (...ports: NonNullable<Policy['spec']['ingress']>[number]['ports'] & object) => [
    policy({ podSelector: {}, ingress: [{ ports }] }),
  ];
  assert.ok(may(on({ port: 8080 }), client, server));
  assert.not.ok(may(on({ port: 8081 }), client, server));
  assert.not.ok(may(on({ port: 8080, protocol: 'UDP' }), client, server));
  assert.ok(may(on({ port: 53, protocol: 'UDP' }), client, server, { port: 53, protocol: 'UDP' }));
  assert.ok(may(on({ port: 'http' }), client, server));
  assert.not.ok(may(on({ port: 'http' }), client, server, { port: 80, protocol: 'TCP' }));
  assert.ok(may(on({ protocol: 'TCP' }), client, server), 'a protocol alone is all its ports');
  const out = policy({ podSelector: {}, egress: [{ ports: [{ port: 'http' }] }] }, 'there');
  assert.ok(may([out], client, server), 'the name is one of the called pod');
  assert.not.ok(may([out], client, outside));
});

test('what no chart uses is refused, not ignored', () => {
  const expressions = { matchExpressions: [{ key: 'app', operator: 'Exists' }] };
  assert.throws(
    () => may([policy({ podSelector: expressions as object })], client, server),
    'matchExpressions',
  );
  const span = { port: 8000, endPort: 8080 };
  assert.throws(
    () => may([policy({ podSelector: {}, ingress: [{ ports: [span] }] })], client, server),
    'endPort',
  );
});

test.run();
