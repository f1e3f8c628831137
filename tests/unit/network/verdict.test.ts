import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Party, type Policy, verdict } from '../../network/verdict.ts';

/* What decides nothing in the table of tests/charts/connections.test.ts, which shows the rest. */

test('a peer without namespaces selects pods of the policy’s own', () => {
  const pod = (namespace: string, app: string): Party => ({
    ...{ address: '10.0.0.1', pod: { namespace, namespaceLabels: {}, labels: { app } } },
  });
  const from = [{ podSelector: { matchLabels: { app: 'client' } } }];
  const policy: Policy = {
    metadata: { name: 'one', namespace: 'here' },
    spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ from }] },
  };
  const may = (namespace: string) =>
    verdict([policy], pod(namespace, 'client'), pod('here', 'server'), { port: 80, protocol: 'TCP' }).allowed;
  assert.equal(['here', 'there'].map(may), [true, false]);
});

test.run();
