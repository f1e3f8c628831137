import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectionName, type Described, isOurs, readConnections } from '../network/connections.ts';
import { type Party, type Policy, selects, verdict } from '../network/verdict.ts';
import { sample } from '../rig/applications.ts';
import { copyOfReleases, environmentObjects, environments, objectsWith } from './environments.ts';
import { type KubernetesObject, ofKind, podTemplateOf } from './render.ts';

/* Checks the rendered policies of all releases against the table in tests/network/connections.yaml. */

const test = suite('allowed connections');

/** Parties with addresses and labels: pods as rendered, those of charts and operators not rendered here as upstream. */
function partiesOf(
  described: Readonly<Record<string, Described>>,
  objects: readonly KubernetesObject[],
): Map<string, Party> {
  const parties = Object.entries(described).map(([name, party], index): [string, Party] => {
    const { namespace, workload, upstream, address = `10.244.0.${index + 1}`, ports = {} } = party;
    if (namespace === undefined) return [name, { address }];
    const owner = objects.find(
      ({ kind, metadata }) => metadata.namespace === namespace && `${kind}/${metadata.name}` === workload,
    );
    const template = owner && podTemplateOf(owner);
    const labels = template?.metadata.labels ?? upstream ?? party.labels;
    assert.ok(labels, `${name} in tests/network/connections.yaml: ${workload} is rendered`);
    const own = objects.find(({ kind, metadata }) => kind === 'Namespace' && metadata.name === namespace);
    const named = Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort }));
    const pod = {
      namespace,
      namespaceLabels: { ...own?.metadata.labels, 'kubernetes.io/metadata.name': namespace },
      labels,
      ports: template?.spec.containers.flatMap(({ ports = [] }: KubernetesObject) => ports) ?? named,
    };
    return [name, { address, pod }];
  });
  return new Map(parties);
}

const policiesIn = (objects: readonly KubernetesObject[]) =>
  ofKind(objects, 'NetworkPolicy') as unknown as Policy[];

for (const [provider, environment, also] of [
  ...environments,
  ['existing', 'production', 'monitored'] as const,
])
  test(`policies of ${also ?? ''} ${environment} on ${provider} allow exactly what the table says`, async () => {
    const objects = await (also
      ? objectsWith('monitoring: { enabled: true }', undefined, { provider, environment })
      : environmentObjects(provider, environment));
    const table = await readConnections(environment, also ?? '');
    const policies = policiesIn(objects);
    const parties = [...partiesOf(table.parties, objects)];
    // Connections between third parties are not checked.
    const tried = parties.flatMap(([fromName, from]) =>
      parties
        .filter(([, to]) => isOurs(from.pod) || isOurs(to.pod))
        .flatMap(([toName, to]) =>
          table.ports.map((port) => ({
            name: connectionName(fromName, toName, port),
            ...verdict(policies, from, to, port),
          })),
        ),
    );
    const wrong = tried.filter(({ name, allowed }) => allowed !== table.allowed.has(name));
    assert.equal(wrong, [], 'a policy, or `allowed` in tests/network/connections.yaml');
    assert.ok(tried.length > 5000 && table.allowed.size > 50);
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
      ...['vault 192.168.7.9:443 TCP', 'vault 172.20.0.1:443 TCP', 'vault 169.254.170.23:80 TCP'],
      'metrics-server 192.168.7.9:10250 TCP',
    ],
    closed: [
      ...['vault 203.0.113.9:443 TCP', 'metrics-server 203.0.113.9:10250 TCP'],
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

const metadata = { pods: { 'app.kubernetes.io/instance': 'vault' }, outside: 'metadata' };
const askMetadata = { releases: { devops: { namespaces: { vault: { reach: { metadata } } } } } };

for (const [cloud, { open, closed }] of Object.entries(clouds))
  test(`with cloud/${cloud}.yaml, pods reach the cluster's addresses, and metadata only where asked for`, async () => {
    const folder = copyOfReleases();
    const file = join(folder, 'environments/development/settings.yaml');
    await writeFile(file, `include: [cloud/${cloud}.yaml]\n${await readFile(file, 'utf8')}`);
    const apps = await environmentObjects('existing');
    const parties = partiesOf((await readConnections()).parties, apps);
    const others = apps.filter(
      ({ metadata }) => metadata.labels?.['app.kubernetes.io/instance'] !== 'devops',
    );
    const mayWith = async (settings: object) => {
      const place = { provider: 'existing', folder } as const;
      const devops = await objectsWith(JSON.stringify(settings), ['app=devops'], place);
      const policies = policiesIn([...devops, ...others]);
      return (connection: string): boolean => {
        const [name = '', address = '', port, protocol] = connection.split(/[ :]/);
        const from = parties.get(name);
        assert.ok(from, name);
        const asked = { port: Number(port), protocol: protocol === 'UDP' ? 'UDP' : 'TCP' } as const;
        return verdict(policies, from, { address }, asked).allowed;
      };
    };
    const may = await mayWith(askMetadata);
    assert.equal([...open, ...closed].filter(may), open);
    assert.equal(open.filter((text) => /:(80|988) /.test(text)).filter(await mayWith({})), []);
  });

test('with another port of PostgreSQL’s Service the policies are the same: its pods listen on the same', async () => {
  const others = policiesIn(await objectsWith('database: { port: 6432 }'));
  assert.equal(new Set(others), new Set(policiesIn(await environmentObjects('embedded'))));
});

/* What decides nothing in the table. */

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
