import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectionName, type Described, ourNamespaces, readConnections } from '../network/connections.ts';
import { type Party, type Policy, selects, verdict } from '../network/verdict.ts';
import { environmentObjects, environments } from './environments.ts';
import { type KubernetesObject, ofKind } from './render.ts';

/* Checks the rendered policies of all releases against the table in tests/network/connections.yaml. */

const test = suite('allowed connections');

/** Parties with addresses and labels: pods as rendered, those of charts and operators not rendered here as upstream. */
function partiesOf(
  described: Readonly<Record<string, Described>>,
  objects: readonly KubernetesObject[],
): Map<string, Party> {
  const parties = new Map<string, Party>();
  for (const [index, [name, party]] of Object.entries(described).entries()) {
    const { namespace, workload, upstream, address, ports = {} } = party;
    if (namespace === undefined) {
      assert.ok(address, name);
      parties.set(name, { address });
      continue;
    }
    const template = objects.find(
      (object) =>
        object.metadata.namespace === namespace && `${object.kind}/${object.metadata.name}` === workload,
    )?.spec.template;
    const labels = template?.metadata.labels ?? upstream ?? party.labels;
    assert.ok(labels, `${name} in tests/network/connections.yaml: ${workload} is rendered`);
    const own = objects.find((object) => object.kind === 'Namespace' && object.metadata.name === namespace);
    const named = Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort }));
    parties.set(name, {
      address: `10.244.0.${index + 1}`,
      pod: {
        namespace,
        namespaceLabels: { ...own?.metadata.labels, 'kubernetes.io/metadata.name': namespace },
        labels,
        ports: template?.spec.containers.flatMap(({ ports = [] }: KubernetesObject) => ports) ?? named,
      },
    });
  }
  return parties;
}

for (const [provider, environment] of environments)
  test(`policies of ${environment} on ${provider} allow exactly what the table says`, async () => {
    const objects = await environmentObjects(provider, environment);
    const table = await readConnections(environment);
    const policies = ofKind(objects, 'NetworkPolicy') as unknown as Policy[];
    const parties = partiesOf(table.parties, objects);
    const wrong: string[] = [];
    let tried = 0;
    for (const [fromName, from] of parties) {
      for (const [toName, to] of parties) {
        // Connections between third parties are not checked.
        if (![from, to].some(({ pod }) => ourNamespaces.some((name) => name === pod?.namespace))) continue;
        for (const port of table.ports) {
          tried += 1;
          const name = connectionName(fromName, toName, port);
          const found = verdict(policies, from, to, port);
          if (found.allowed === table.allowed.has(name)) continue;
          wrong.push(`${name}: egress ${found.egress}, ingress ${found.ingress}`);
        }
      }
    }
    assert.equal(wrong, [], 'a policy, or `allowed` in tests/network/connections.yaml');
    assert.ok(tried > 5000 && table.allowed.size > 50);
  });

test('every rendered pod is a party, and every policy selects one', async () => {
  const objects = await environmentObjects('embedded');
  const { parties } = await readConnections();
  const known = new Set(Object.values(parties).map(({ namespace, workload }) => `${namespace} ${workload}`));
  const workloads = objects.filter((object) => object.spec?.template?.metadata);
  for (const { kind, metadata } of workloads) {
    const workload = `${kind}/${metadata.name}`;
    assert.ok(
      known.has(`${metadata.namespace} ${workload}`),
      `${workload}: add it to the parties of tests/network/connections.yaml`,
    );
  }
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    const selected = workloads.filter(
      ({ metadata, spec }) =>
        metadata.namespace === policy.metadata.namespace &&
        selects(policy.spec.podSelector, spec.template.metadata.labels),
    );
    assert.ok(selected.length > 0, `${policy.metadata.namespace}/${policy.metadata.name}`);
  }
});

test('our charts render the same policies for every provider', async () => {
  const policies = async (provider: 'embedded' | 'minikube' | 'existing') =>
    ofKind(await environmentObjects(provider), 'NetworkPolicy')
      .map(({ metadata, spec }) => JSON.stringify([metadata.namespace, metadata.name, spec]))
      .sort();
  const embedded = await policies('embedded');
  for (const provider of ['minikube', 'existing'] as const)
    assert.equal(await policies(provider), embedded, provider);
});

test.run();
