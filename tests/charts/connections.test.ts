import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { connectionName, type Described, ourNamespaces, readConnections } from '../network/connections.ts';
import { type Party, type Policy, selects, verdict } from '../network/verdict.ts';
import { sample } from '../rig/applications.ts';
import { copyOfReleases, environmentObjects, environments, helmfileText } from './environments.ts';
import { type KubernetesObject, objectsOf, ofKind, podTemplateOf } from './render.ts';

/* Checks the rendered policies of all releases against the table in tests/network/connections.yaml. */

const test = suite('allowed connections');

const instance = 'app.kubernetes.io/instance';

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
    const owner = objects.find(
      (object) =>
        object.metadata.namespace === namespace && `${object.kind}/${object.metadata.name}` === workload,
    );
    const template = owner && podTemplateOf(owner);
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

/** Objects of an environment with monitoring. */
const monitored = async (provider: ProviderName, environment: string) =>
  objectsOf(
    await helmfileText(provider, environment, ['template'], { settings: 'monitoring: { enabled: true }' }),
  );

for (const [provider, environment, also] of [
  ...environments,
  ['existing', 'production', 'monitored'] as const,
])
  test(`policies of ${also ?? ''} ${environment} on ${provider} allow exactly what the table says`, async () => {
    const objects = await (also ? monitored : environmentObjects)(provider, environment);
    const table = await readConnections(environment, also ?? '');
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
  const workloads = objects.filter((object) => podTemplateOf(object)?.metadata);
  const isTried = ({ metadata }: KubernetesObject): boolean =>
    !['backend', 'frontend'].includes(metadata.namespace ?? '') ||
    sample.some(({ name }) => metadata.name.startsWith(`${name}-`));
  for (const { kind, metadata } of workloads.filter(isTried)) {
    const workload = `${kind}/${metadata.name}`;
    assert.ok(
      known.has(`${metadata.namespace} ${workload}`),
      `${workload}: add it to the parties of tests/network/connections.yaml`,
    );
  }
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    const selected = workloads.filter(
      (object) =>
        object.metadata.namespace === policy.metadata.namespace &&
        selects(policy.spec.podSelector, podTemplateOf(object).metadata.labels),
    );
    assert.ok(selected.length > 0, `${policy.metadata.namespace}/${policy.metadata.name}`);
  }
});

/** Addresses of each cloud that a pod with the role may call, and those that it may not. */
const clouds = {
  eks: {
    open: [
      'vault 192.168.7.9:443 TCP',
      'vault 172.20.0.1:443 TCP',
      'metrics-server 192.168.7.9:10250 TCP',
      'vault 169.254.170.23:80 TCP',
    ],
    closed: [
      'vault 203.0.113.9:443 TCP',
      'metrics-server 203.0.113.9:10250 TCP',
      'app1-back 192.168.7.9:443 TCP',
    ],
  },
  gke: {
    open: ['app1-back 169.254.20.10:53 UDP', 'vault 169.254.169.252:988 TCP', 'vault 203.0.113.9:443 TCP'],
    closed: ['app1-back 169.254.20.10:443 TCP'],
  },
  aks: {
    open: ['vault 169.254.169.254:80 TCP', 'vault 203.0.113.9:443 TCP'],
    closed: ['app1-back 169.254.20.10:53 UDP', 'vault 10.244.3.4:443 TCP'],
  },
} as const;

const askMetadata = `
releases:
  devops:
    namespaces:
      vault:
        reach:
          metadata: { pods: { app.kubernetes.io/instance: vault }, outside: metadata }
`;

for (const [cloud, { open, closed }] of Object.entries(clouds))
  test(`with cloud/${cloud}.yaml, pods reach the cluster's addresses, and metadata only where asked for`, async () => {
    const folder = await copyOfReleases();
    const file = join(folder, 'environments/development/settings.yaml');
    await writeFile(file, `include: [cloud/${cloud}.yaml]\n${await readFile(file, 'utf8')}`);
    const devops = async (settings: string) => {
      const options = { folder, settings, selectors: ['app=devops'] };
      return objectsOf(await helmfileText('existing', 'development', ['template'], options));
    };
    const apps = await environmentObjects('existing');
    const { parties } = await readConnections();
    const policiesWith = async (settings: string) =>
      ofKind(
        [
          ...(await devops(settings)),
          ...apps.filter(({ metadata }) => metadata.labels?.[instance] !== 'devops'),
        ],
        'NetworkPolicy',
      ) as unknown as Policy[];
    const may = (policies: Policy[], connection: string): boolean => {
      const [name = '', address = '', number = '', protocol] = connection.split(/[ :]/);
      const from = partiesOf(parties, apps).get(name);
      assert.ok(from, name);
      const port = { port: Number(number), protocol: protocol === 'UDP' ? 'UDP' : 'TCP' } as const;
      return verdict(policies, from, { address }, port).allowed;
    };
    const policies = await policiesWith(askMetadata);
    for (const connection of open) assert.ok(may(policies, connection), connection);
    for (const connection of closed) assert.not.ok(may(policies, connection), connection);
    const unasked = await policiesWith('');
    for (const connection of open.filter((text) => /:(80|988) /.test(text)))
      assert.not.ok(may(unasked, connection), connection);
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

test('another port of PostgreSQL’s Service leaves the policies as they are: its pods listen on the same', async () => {
  const policies = async (settings: string) =>
    ofKind(
      objectsOf(await helmfileText('embedded', 'development', ['template'], { settings })),
      'NetworkPolicy',
    );
  assert.equal(await policies('database: { port: 6432 }'), await policies(''));
});

test.run();
