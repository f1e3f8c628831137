import type { ClusterProvider } from '../provider.ts';

/** Somebody else's cluster: used, never created, started, stopped or destroyed by these tasks. */
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
