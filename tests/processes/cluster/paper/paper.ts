import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster, ClusterPhase, ClusterProvider } from '../../../../lib/cluster/provider.ts';
import type { Environment } from '../../../../lib/settings/context.ts';

const file = ({ state }: Environment): string => join(state, 'paper');

async function write(environment: Environment, phase: ClusterPhase): Promise<'changed'> {
  await mkdir(environment.state, { recursive: true });
  await writeFile(file(environment), phase);
  return 'changed';
}

const cluster: Cluster = {
  commands: {
    create: ({ environment: { context } }) => [`echo stopped > ${context}`],
    start: ({ environment: { context } }) => [`echo running > ${context}`],
    stop: ({ environment: { context } }) => [`echo stopped > ${context}`],
    destroy: ({ environment: { context } }) => [`rm ${context}`],
    services: ({ environment: { context } }) => [`cat ${context}`],
  },
  state: async ({ environment }) => ({
    phase: (await readFile(file(environment), 'utf8').catch(() => 'absent')) as ClusterPhase,
  }),
  create: async ({ environment }) => {
    await write(environment, 'stopped');
    return 'unchanged';
  },
  start: ({ environment }) => write(environment, 'running'),
  stop: ({ environment }) => write(environment, 'stopped'),
  destroy: async ({ environment }) => {
    await rm(file(environment));
    return 'changed';
  },
  addresses: async () => [],
};

/** A cluster that is only a file with its phase: a whole provider in one folder. */
export const paper: ClusterProvider = {
  ownsCluster: true,
  simulatedPods: true,
  tools: ['k9s'],
  toolsFor: { create: [], start: [], stop: [], destroy: [], services: [], images: [], status: [] },
  contextOf: (clusterName) => `paper-${clusterName}`,
  fits: async () => true,
  load: async () => cluster,
};
