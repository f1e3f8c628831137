import { runCli } from '@k8s-deployment/runner';
import { ensureKubernetes } from '../lib/cluster/embedded/kubernetes.ts';
import { handOver } from '../lib/cluster/embedded/processes.ts';
import { ensureState } from '../lib/cluster/embedded/state.ts';
import { task } from '../tasks/environment-task.ts';

/*
 * The Kubernetes part of create-k8s alone, without the servers that start beside it: `node --import tsx
 * bench/kubernetes.ts <environment>`, run in the copy of the sources that the benchmark made.
 */
const kubernetes = task({
  name: 'kubernetes',
  description: 'etcd, the Kubernetes control plane and simulated nodes',
  args: { environment: { type: 'string', positional: true, description: 'a folder under environments/' } },
  commands: () => [],
  run: async (context) => {
    await ensureState(context);
    await ensureKubernetes(context);
    handOver();
  },
});

const environment = process.argv[2] ?? '';
process.exitCode = await runCli([kubernetes], ['kubernetes', environment], {
  resolve: async (options) => ({ ...options, env: environment, provider: 'embedded' }),
});
