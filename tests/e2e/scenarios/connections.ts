import { readFile } from 'node:fs/promises';
import pMap from 'p-map';
import * as assert from 'uvu/assert';
import { type KubernetesObject, objectsOf, only, podTemplateOf, type Tree } from '../../charts/render.ts';
import {
  type Connections,
  connectionName,
  type Described,
  isOurs,
  readConnections,
} from '../../network/connections.ts';
import type { Port } from '../../network/verdict.ts';
import { create, ensureNamespace, mark, podOf, podsOf, removePods, runPod } from '../pods.ts';
import { type Stack, until } from '../stack.ts';

/*
 * Opens the connections of tests/network/connections.yaml for real. Each party gets a twin: a pod with its labels and
 * ports that receives no Service traffic and listens on all ports of the table. Every twin tries every other twin, the
 * name server, the API server and a kubelet. Connections between third parties and those that
 * leave the cluster are not tried.
 */

type Door = Port & { readonly name: string; readonly host: string; readonly timeoutMs: number };
type Outcomes = Readonly<Record<string, 'open' | 'refused' | 'silent'>>;

/** The pod of a party from its release; for a removed Job, from helm's record. */
async function templateOf(stack: Stack, party: Described): Promise<KubernetesObject['spec']> {
  if (!party.workload || !party.namespace) return undefined;
  const [kind = '', name = ''] = party.workload.split('/');
  if (kind !== 'Job') return podTemplateOf(await stack.get(kind, '-n', party.namespace, name));
  const release = name.replace(/-(verification|set-up)$/, '');
  const hooks = objectsOf(await stack.helm('get', 'hooks', release, '-n', party.namespace));
  return podTemplateOf(only(hooks, kind, name));
}

type Twin = { readonly party: string; readonly namespace: string; readonly pod: string };

/** A twin of each pod party outside kube-system, where the tests create nothing. */
async function makeTwins(stack: Stack, { parties, ports }: Connections): Promise<Twin[]> {
  const tcp = ports.filter(({ protocol }) => protocol === 'TCP').map(({ port }) => port);
  const twins: Twin[] = [];
  for (const [party, described] of Object.entries(parties)) {
    const { namespace } = described;
    if (namespace === undefined || namespace === 'kube-system') continue;
    await ensureNamespace(stack, namespace);
    const template = await templateOf(stack, described);
    if (described.workload) assert.ok(template, `${party}: ${described.workload} is deployed`);
    // without the revision's hash, so that a twin belongs to no ReplicaSet
    const { 'pod-template-hash': _, ...labels } = template?.metadata.labels ?? described.labels ?? {};
    const named: KubernetesObject['spec'][] =
      template?.spec.containers.flatMap(({ ports = [] }: Tree) => ports) ?? [];
    const pod = `twin-${party}`;
    await create(stack, [
      await podOf(stack, {
        name: pod,
        namespace,
        labels,
        program: 'listen.mjs',
        env: { PORTS: tcp.join(' ') },
        ports: named.map(({ name, containerPort }) => ({ name, containerPort })),
        aside: true,
      }),
    ]);
    twins.push({ party, namespace, pod });
  }
  return twins;
}

function runningTwins(stack: Stack, twins: readonly Twin[]): Promise<ReadonlyMap<string, KubernetesObject>> {
  return until('the twins', 300, async () => {
    const all = await stack.list('pods', '-A', '-l', Object.keys(mark).join(','));
    const running = all.filter(({ status }) => status.phase === 'Running' && status.podIP);
    const found = twins.flatMap(({ party, namespace, pod }) => {
      const own = running.find(({ metadata }) => metadata.namespace === namespace && metadata.name === pod);
      return own ? [[party, own] as const] : [];
    });
    return found.length === twins.length && new Map(found);
  });
}

type Place = { readonly party: string; readonly host: string; readonly ports: readonly Port[] };

/** Listeners without a twin: name server and API server. */
async function otherPlaces(stack: Stack, { parties }: Connections): Promise<Place[]> {
  const { namespace = '', labels = {} } = parties['name-server'] ?? {};
  const selector = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  const pods = await podsOf(stack, namespace, selector.join(','));
  const nameServer = pods.find(({ status }) => status.phase === 'Running')?.status.podIP;
  const service = 'kubernetes.io/service-name=kubernetes';
  const [slice] = await stack.list('endpointslices', '-n', 'default', '-l', service);
  const apiServer = slice?.endpoints[0]?.addresses[0];
  assert.ok(nameServer && slice && apiServer);
  const on = (protocol: Port['protocol'], port: number): Port => ({ port, protocol });
  const ports: Port[] = slice.ports.map(({ port }: { port: number }) => on('TCP', port));
  return [
    { party: 'name-server', host: nameServer, ports: [on('TCP', 53), on('UDP', 53)] },
    { party: 'api-server', host: apiServer, ports },
  ];
}

/** The kubelet of another node, because a node and its own pods can always reach each other. */
async function kubeletFor(stack: Stack, caller: KubernetesObject): Promise<Place | undefined> {
  const nodes = await stack.list('nodes');
  const other = nodes.find(({ metadata }) => metadata.name !== caller.spec.nodeName);
  const host = other?.status.addresses.find(({ type }: Tree) => type === 'InternalIP')?.address;
  return host ? { party: 'kubelet', host, ports: [{ port: 10250, protocol: 'TCP' }] } : undefined;
}

const separator = ' @';

export async function connectionsAreThoseOfTheTable(stack: Stack): Promise<void> {
  const table = await readConnections('lab');
  await removePods(stack);
  try {
    const twins = await makeTwins(stack, table);
    const pods = await runningTwins(stack, twins);
    const twinPlaces = [...pods].map(
      ([party, { status }]): Place => ({ party, host: status.podIP ?? '', ports: table.ports }),
    );
    const others = await otherPlaces(stack, table);
    const wrong: string[] = [];
    let tried = 0;
    let opened = 0;
    const one = async ({ party: from, namespace, pod }: Twin): Promise<void> => {
      const own = pods.get(from);
      const kubelet = own && (await kubeletFor(stack, own));
      const doors = [...twinPlaces, ...others, ...(kubelet ? [kubelet] : [])].flatMap((place) => {
        if (place.host === own?.status.podIP) return [];
        if (!isOurs(table.parties[from]) && !isOurs(table.parties[place.party])) return [];
        return place.ports.map(
          (port): Door => ({
            name: `${connectionName(from, place.party, port)}${separator}${place.host}`,
            ...{ host: place.host, timeoutMs: 1500, ...port },
          }),
        );
      });
      const isAllowed = ({ name }: Door) => table.allowed.has(name.slice(0, name.indexOf(separator)));
      const outcomes = { ...(await knock(stack, namespace, pod, doors)) };
      // A busy machine answers late, so a closed port is confirmed only after a long wait.
      const late = doors.filter((door) => isAllowed(door) && outcomes[door.name] !== 'open');
      if (late.length > 0) {
        const patient = late.map((door) => ({ ...door, timeoutMs: 6000 }));
        Object.assign(outcomes, await knock(stack, namespace, pod, patient));
      }
      for (const door of doors) {
        tried += 1;
        const outcome = outcomes[door.name];
        if (outcome === 'open') opened += 1;
        if ((outcome === 'open') !== isAllowed(door)) wrong.push(`${door.name}: ${outcome}`);
      }
    };
    // A few at a time, because each is a busy process.
    await pMap(twins, one, { concurrency: 3 });
    assert.equal(wrong.sort(), []);
    assert.ok(tried > 3000 && opened > 40, `${tried} tried, ${opened} opened`);
    process.stdout.write(`\n  ${tried} connections tried, ${opened} opened\n`);
  } finally {
    await removePods(stack);
  }
}

async function knock(
  stack: Stack,
  namespace: string,
  pod: string,
  doors: readonly Door[],
): Promise<Outcomes> {
  const program = await readFile(new URL('../programs/knock.mjs', import.meta.url), 'utf8');
  const words = ['exec', '-i', '-n', namespace, pod, '--', 'node', '--input-type=module', '-e', program];
  return JSON.parse(await stack.kubectl(words, JSON.stringify(doors))) as Outcomes;
}

/**
 * True when the cluster's network enforces NetworkPolicies: a pod with a deny-all policy does not answer. minikube's
 * default network (kindnet) does not, for example. Uses its own objects, so that a mistake in our policies has no
 * effect.
 */
export async function enforcesPolicies(stack: Stack): Promise<boolean> {
  const [namespace, port] = ['e2e-enforcement', 8080];
  // The environment does not exist yet, nor does its kubeconfig.
  const get: Stack['get'] = async (...words) =>
    JSON.parse(await stack.user(['get', ...words, '--output', 'json']));
  const user: Stack = { ...stack, kubectl: stack.user, get };
  try {
    const metadata = { name: 'nobody', namespace };
    const shut = { name: 'shut', namespace, labels: { shut: 'true' } };
    await create(user, [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: mark } },
      {
        ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata },
        spec: { podSelector: { matchLabels: shut.labels }, policyTypes: ['Ingress'] },
      },
      await podOf(stack, { ...shut, program: 'listen.mjs', env: { PORTS: String(port) } }),
    ]);
    const host = await until('a pod of the probe', 300, async () => {
      const { status } = await user.get('pod', shut.name, '--namespace', namespace);
      return status.phase === 'Running' && status.podIP;
    });
    const DOORS = JSON.stringify([{ name: 'shut', host, port, protocol: 'TCP', timeoutMs: 3000 }]);
    const answer = await runPod(user, { name: 'knocker', namespace, program: 'knock.mjs', env: { DOORS } });
    return (JSON.parse(answer) as { shut: string }).shut !== 'open';
  } finally {
    await stack.user(['delete', 'namespace', namespace, '--ignore-not-found', '--wait', '--timeout=120s']);
  }
}
