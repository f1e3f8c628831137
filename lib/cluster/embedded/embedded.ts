import type { ClusterProvider } from '../provider.ts';

/**
 * A real Kubernetes API with simulated nodes (kwok). Vault, PostgreSQL and the Vault Secrets Operator are local
 * processes. Each part is a task with its own tools (tasks/embedded.ts).
 */
export const embedded: ClusterProvider = {
  ownsCluster: true,
  simulatedPods: true,
  tools: [
    ...(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwokctl', 'kwok'] as const),
    ...(['vault-secrets-operator', 'vault', 'postgresql'] as const),
  ],
  toolsFor: { create: [], start: [], stop: [], destroy: [], services: ['kubectl'], images: [], status: [] },
  contextOf: (clusterName) => `kwok-${clusterName}`,
  settingsFile: 'cluster.yaml',
  fits: async () => true,
  servers: async (environment) => (await import('./state.ts')).expectedServers(environment),
  load: async () => (await import('./cluster.ts')).cluster,
};
