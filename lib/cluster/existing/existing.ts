import type { ClusterProvider } from '../provider.ts';

/** Settings file in the state folder: what create-k8s found in the cluster, if it changes a setting. */
export const recordFile = 'cluster.yaml';

/** A cluster that the tasks use but never create, start, stop or destroy. */
export const existing: ClusterProvider = {
  ownsCluster: false,
  simulatedPods: false,
  settingsFile: recordFile,
  tools: [],
  toolsFor: {
    // helm for the ingress controller
    create: ['kubectl', 'helm'],
    start: [],
    stop: [],
    destroy: ['kubectl', 'helm'],
    services: ['kubectl'],
    images: [],
    status: ['kubectl'],
  },
  load: async () => (await import('./cluster.ts')).cluster,
};
