import { mark, type Pod, podOf } from './pods.ts';
import { type Stack, until } from './stack.ts';

const namespace = 'e2e-enforcement';
const port = 8080;

/**
 * True when the cluster's network enforces NetworkPolicies: a pod with a deny-all policy does not answer. minikube's
 * default network (kindnet) does not, for example. Uses its own objects, so that a mistake in our policies has no
 * effect.
 */
export async function enforcesPolicies(stack: Stack): Promise<boolean> {
  const apply = (...items: readonly object[]) =>
    stack.user(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const podNamed = async (name: string): Promise<Pod> =>
    JSON.parse(await stack.user(['get', 'pod', name, '--namespace', namespace, '--output', 'json'])) as Pod;
  try {
    const metadata = { name: 'nobody', namespace };
    await apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: mark } },
      {
        ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata },
        spec: { podSelector: { matchLabels: { shut: 'true' } }, policyTypes: ['Ingress'] },
      },
      await podOf(stack, {
        ...{ name: 'shut', namespace, labels: { shut: 'true' }, program: 'listen.mjs' },
        env: { PORTS: String(port) },
      }),
    );
    const host = await until('a pod of the probe', 300, async () => {
      const { status } = await podNamed('shut');
      return status.phase === 'Running' && status.podIP;
    });
    const door = { name: 'shut', host, port, protocol: 'TCP', timeoutMs: 3000 };
    await apply(
      await podOf(stack, {
        ...{ name: 'knocker', namespace, program: 'knock.mjs' },
        env: { DOORS: JSON.stringify([door]) },
      }),
    );
    await until('the end of the probe', 120, async () => {
      const { status } = await podNamed('knocker');
      return ['Succeeded', 'Failed'].includes(status.phase);
    });
    const answer = await stack.user(['logs', 'knocker', '--namespace', namespace]);
    return (JSON.parse(answer) as { shut: string }).shut !== 'open';
  } finally {
    await stack.user(['delete', 'namespace', namespace, '--ignore-not-found', '--wait', '--timeout=120s']);
  }
}
