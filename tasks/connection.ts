import type { AnyTask } from '@k8s-deployment/runner';
import { type Early, task } from './environment-task.ts';
import { tools } from './tools.ts';

export const connect = task({
  name: 'connect',
  description: "copy the context of an existing cluster into the environment's kubeconfig",
  private: true,
  needs: tools('kubectl'),
  commands: async ({ environment }) => [
    (await import('../lib/cluster/existing/user-kubeconfig.ts')).connectCommand(environment),
  ],
  run: async (context) =>
    (await import('../lib/cluster/existing/user-kubeconfig.ts')).connectExisting(context),
});

/** Needed by each task on an existing cluster: a pipeline may skip create-k8s. */
export const connection = ({ provider }: Pick<Early, 'provider'>): readonly AnyTask[] =>
  provider.contextOf ? [] : [connect];
