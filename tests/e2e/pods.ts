import { readFile } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import type { KubernetesObject, Tree } from '../charts/render.ts';
import { list } from '../integration/api-server.ts';
import { type Stack, until } from './stack.ts';

export const mark = { 'k8s-deployment/e2e': 'true' } as const;
const marked = 'k8s-deployment/e2e=true';

export type PodOptions = {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly program: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly secret?: string;
  /** Named ports, like those of another pod. */
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  /** Never ready, so that no Service sends it requests, whatever its labels. */
  readonly aside?: boolean;
  readonly cpu?: string;
};

/** A pod that all our namespaces admit, running a test program in the verification image. */
export async function podOf(stack: Stack, options: PodOptions): Promise<object> {
  const { repository, tag } = stack.settings.images.backendVerification;
  const program = await readFile(new URL(`programs/${options.program}`, import.meta.url), 'utf8');
  const { name, namespace, labels, env = {}, secret, ports, aside, cpu = '500m' } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { ...labels, ...mark } },
    spec: {
      ...{ restartPolicy: 'Never', automountServiceAccountToken: false, enableServiceLinks: false },
      terminationGracePeriodSeconds: 2,
      ...(aside ? { readinessGates: [{ conditionType: 'k8s-deployment/never' }] } : {}),
      securityContext: {
        ...{ runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
      },
      containers: [
        {
          name: 'program',
          image: `${repository}:${tag}`,
          imagePullPolicy: 'IfNotPresent',
          // where its packages are
          workingDir: '/verification',
          command: ['node', '--input-type=module', '-e', program],
          env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
          ...(secret ? { envFrom: [{ secretRef: { name: secret } }] } : {}),
          ...(ports ? { ports } : {}),
          resources: { requests: { cpu: '5m', memory: '24Mi' }, limits: { cpu, memory: '128Mi' } },
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

export const create = (stack: Stack, objects: readonly object[]): Promise<string> =>
  stack.kubectl(['apply', '-f', '-'], list(objects));

export const isReady = ({ metadata, status }: KubernetesObject): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status.conditions ?? []).some(({ type, status }: Tree) => type === 'Ready' && status === 'True');

export const podsOf = (stack: Stack, namespace: string, selector: string): Promise<KubernetesObject[]> =>
  stack.list('pods', '-n', namespace, '-l', selector);

/** Waits until all pods of a namespace with these labels, at least so many, are ready. Those of Jobs end. */
export const areReady = (stack: Stack, namespace: string, selector = '', least = 1) =>
  until(`ready pods of ${namespace} ${selector}`, 120, async () => {
    const all = await podsOf(stack, namespace, selector);
    const running = all.filter(({ status }) => status.phase !== 'Succeeded');
    return running.length >= least && running.every(isReady);
  });

/** Creates a missing namespace, which `removePods` removes. */
export async function ensureNamespace(stack: Stack, name: string): Promise<void> {
  if ((await stack.tryKubectl(['get', 'namespace', name])).exitCode !== 0)
    await create(stack, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: mark } }]);
}

async function start(stack: Stack, options: PodOptions): Promise<void> {
  const { namespace, name } = options;
  await stack.kubectl(['delete', 'pod', '-n', namespace, name, '--ignore-not-found', '--wait']);
  await create(stack, [await podOf(stack, options)]);
}

/** Runs a program as a pod and returns its output. Throws when it fails. */
export async function runPod(stack: Stack, options: PodOptions): Promise<string> {
  const { namespace, name } = options;
  await start(stack, options);
  try {
    const phase = await until(`end of pod ${namespace}/${name}`, 120, async () => {
      const { status } = await stack.get('pod', '-n', namespace, name);
      return ['Succeeded', 'Failed'].includes(status.phase) && status.phase;
    });
    const said = await stack.kubectl(['logs', '-n', namespace, name]);
    if (phase === 'Succeeded') return said;
    throw new Error(`pod ${namespace}/${name} failed: ${said}`);
  } finally {
    await stack.kubectl(['delete', 'pod', '-n', namespace, name, '--wait=false']);
  }
}

/** Removes all objects that the tests created besides the deployment. */
export async function removePods(stack: Stack): Promise<void> {
  await stack.user(['delete', 'pods', '-A', '-l', marked, '--wait', '--timeout=120s']);
  await stack.user(['delete', 'namespaces', '-l', marked, '--wait', '--timeout=120s']);
}

export type Tally = {
  readonly ok: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly gapMs: number;
};
/** Stops it after some more calls and returns all results. */
export type Caller = { end(): Promise<Tally> };

export async function endWithoutLoss(caller: Caller): Promise<void> {
  const { ok, failed, failures } = await caller.end();
  assert.equal([failed, failures], [0, []]);
  assert.ok(ok > 100, `${ok} calls`);
}

/**
 * Calls the fronts from inside the cluster until stopped, from a pod that their policy accepts as the ingress
 * controller.
 */
export async function startCaller(
  stack: Stack,
  fronts: readonly string[],
  { name = 'caller', width = 2, pauseMs = 50 } = {},
): Promise<Caller> {
  const policy = await stack.get('networkpolicy', '-n', 'frontend', `${fronts[0]}-server`);
  const peer = policy.spec.ingress[0].from[0];
  const namespace = peer.namespaceSelector.matchLabels['kubernetes.io/metadata.name'] ?? '';
  await ensureNamespace(stack, namespace);
  const urlOf = async (front: string) =>
    `http://${(await stack.get('service', '-n', 'frontend', front)).spec.clusterIP}/api`;
  const urls = await Promise.all(fronts.map(urlOf));
  const env = { URLS: urls.join(' '), WIDTH: String(width), PAUSE_MS: String(pauseMs) };
  return startCalls(stack, { name, namespace, labels: peer.podSelector.matchLabels, env });
}

/** Starts the pod that calls until it is stopped, and waits for first answers. */
export async function startCalls(stack: Stack, options: Omit<PodOptions, 'program'>): Promise<Caller> {
  const { name, namespace } = options;
  await start(stack, { ...options, program: 'call.mjs', aside: true });
  const tally = async (): Promise<Tally> => {
    const { stdout } = await stack.tryKubectl(['logs', '-n', namespace, name, '--tail', '1']);
    return stdout === '' ? { ok: 0, failed: 0, failures: [], gapMs: 0 } : (JSON.parse(stdout) as Tally);
  };
  await until('first answers', 60, async () => (await tally()).ok > 10);
  return {
    end: async () => {
      const count = ({ ok, failed }: Tally): number => ok + failed;
      let last = await tally();
      // What comes first may have been called before.
      for (const what of ['calls', 'further calls'])
        last = await until(what, 60, async () => {
          const now = await tally();
          return count(now) > count(last) && now;
        });
      await stack.kubectl(['delete', 'pod', '-n', namespace, name, '--wait=false']);
      return last;
    },
  };
}
