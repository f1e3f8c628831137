import type { ClusterProvider } from '../provider.ts';

/** A cluster that the tasks use but never create, start, stop or destroy. */
export const existing: ClusterProvider = {
  ownsCluster: false,
  simulatedPods: false,
  images: 'pulled',
  tools: [],
  toolsFor: {
    // helm for the ingress controller
    create: ['kubectl', 'helm'],
    start: [],
    stop: [],
    destroy: ['kubectl', 'helm', 'helmfile', 'sops'],
    services: ['kubectl'],
    images: [],
    status: ['kubectl'],
  },
  load: async () => (await import('./cluster.ts')).cluster,
};
