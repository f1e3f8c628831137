import { create, mark, podOf, runPod } from './pods.ts';
import { type Stack, until } from './stack.ts';

const namespace = 'e2e-enforcement';
const port = 8080;

/**
 * True when the cluster's network enforces NetworkPolicies: a pod with a deny-all policy does not answer. minikube's
 * default network (kindnet) does not, for example. Uses its own objects, so that a mistake in our policies has no
 * effect.
 */
export async function enforcesPolicies(stack: Stack): Promise<boolean> {
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
