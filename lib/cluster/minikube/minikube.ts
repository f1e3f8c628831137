import type { ClusterProvider } from '../provider.ts';

/** minikube, with a profile for each environment of each clone. */
export const minikube: ClusterProvider = {
  ownsCluster: true,
  simulatedPods: false,
  tools: ['minikube', 'docker'],
  toolsFor: {
    // helm for the ingress controller
    create: ['docker', 'minikube', 'kubectl', 'helm'],
    start: ['docker', 'minikube', 'kubectl'],
    stop: ['docker', 'minikube'],
    destroy: ['minikube', 'docker'],
    services: ['docker', 'minikube', 'kubectl'],
    images: ['kubectl', 'minikube'],
    status: ['kubectl', 'minikube'],
  },
  contextOf: (clusterName) => clusterName,
  podRange: '10.244.0.0/16',
  nodeAddress: (clusterName) => `minikube ip --profile ${clusterName}`,
  fits: async (user) => (await import('./engine.ts')).fitsMinikube(user),
  load: async () => (await import('./cluster.ts')).cluster,
};
