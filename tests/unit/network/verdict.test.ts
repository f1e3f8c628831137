import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Party, type Peer, type Policy, type Port, verdict } from '../../network/verdict.ts';

/* What the policies of the charts do not use; tests/charts/connections.test.ts shows the rest. */

const test = suite('verdicts of network policies');

const pod = (namespace: string, labels: Record<string, string>): Party => ({
  address: '10.0.0.1',
  pod: { namespace, namespaceLabels: {}, labels, ports: [] },
});
const policy = (spec: Partial<Policy['spec']>): Policy => ({
  ...{ metadata: { name: 'one', namespace: 'here' }, spec: { podSelector: {}, ...spec } },
});

const server = pod('here', { app: 'server' });
const client = pod('there', { app: 'client' });
const http = { port: 8080, protocol: 'TCP' } as const;

const may = (spec: Partial<Policy['spec']>, from: Party, to: Party, port: Port = http) =>
  verdict([policy(spec)], from, to, port).allowed;

test('without policyTypes, a policy covers Ingress, and Egress if it has rules for it', () => {
  assert.not.ok(may({}, client, server));
  assert.ok(may({}, server, client));
  assert.not.ok(may({ egress: [] }, server, client));
});

test('a peer without namespaces selects pods of the policy’s own', () => {
  const from: Peer[] = [{ podSelector: { matchLabels: { app: 'client' } } }];
  assert.not.ok(may({ ingress: [{ from }] }, client, server));
  assert.ok(may({ ingress: [{ from }] }, pod('here', { app: 'client' }), server));
});

test('a rule without ports allows all; a protocol alone is all its ports; TCP is the default', () => {
  const on = (...ports: NonNullable<Policy['spec']['ingress']>[number]['ports'] & object) =>
    may({ ingress: [{ ports }] }, client, server);
  assert.ok(on());
  assert.ok(on({ port: 8080 }) && on({ protocol: 'TCP' }));
  assert.not.ok(on({ port: 8081 }) || on({ port: 8080, protocol: 'UDP' }) || on({ protocol: 'UDP' }));
});

test('what no chart uses is refused, not ignored', () => {
  const podSelector = { matchExpressions: [{ key: 'app', operator: 'Exists' }] } as object;
  assert.throws(() => may({ podSelector }, client, server), 'matchExpressions');
  const span = { port: 8000, endPort: 8080 };
  assert.throws(() => may({ ingress: [{ ports: [span] }] }, client, server), 'endPort');
});

test.run();
