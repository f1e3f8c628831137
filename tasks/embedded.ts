import { type Need, need } from '@k8s-deployment/runner';
import type { parts as allParts } from '../lib/cluster/embedded/cluster.ts';
import { certificates } from './certificates.ts';
import { type Early, task } from './environment-task.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

const mode = {
  mode: {
    type: 'choice',
    choices: ['create', 'start'],
    description: 'create what is missing, or only start',
  },
} as const;

type Part = Pick<Parameters<typeof task<typeof mode>>[0], 'description' | 'needs' | 'check'> & {
  readonly name: keyof typeof allParts;
};

/*
 * Declares a part of the embedded cluster as a task, so that parts start in parallel, each once its tools are
 * installed. `create` creates what is missing, `start` needs an existing cluster.
 */
function part(definition: Part) {
  const load = async () => (await import('../lib/cluster/embedded/cluster.ts')).parts[definition.name];
  return task({
    ...definition,
    private: true,
    args: mode,
    lock: true,
    commands: async (input) => (await load()).commands(input, input.args.mode),
    run: async (context) => (await load()).ensure(context, context.args.mode),
  });
}

export const embeddedState = part({
  name: 'embedded-state',
  description: 'choose names and ports of the embedded cluster',
});

export const embeddedKubernetes = part({
  name: 'embedded-kubernetes',
  description: 'start etcd, the Kubernetes control plane and simulated nodes',
  needs: ({ args }) => [
    need(embeddedState, args),
    ...tools('etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'),
    ...tools('kwok', 'kwokctl', 'kubectl'),
  ],
});

export const embeddedDatabase = part({
  name: 'embedded-database',
  description: 'start the real PostgreSQL behind the simulated pod',
  // A new server gets its password from the secrets file.
  check: (input) => (input.args.mode === 'create' ? refuseDevelopmentKeys(input) : undefined),
  needs: ({ args }) => [
    need(embeddedState, args),
    importGpgKeys,
    certificates,
    ...tools('sops', 'postgresql'),
  ],
});

export const embeddedVault = part({
  name: 'embedded-vault',
  description: 'start the real Vault behind the simulated pod',
  needs: ({ args }) => [need(embeddedState, args), certificates, ...tools('vault')],
});

export const embeddedOperator = part({
  name: 'embedded-operator',
  description: 'start the real Vault Secrets Operator',
  needs: ({ args }) => [need(embeddedKubernetes, args), ...tools('vault-secrets-operator')],
});

export const embeddedJobRunner = part({
  name: 'embedded-job-runner',
  description: 'start the service that runs the checks of simulated pods',
  needs: ({ args }) => [need(embeddedKubernetes, args)],
});

const parts = [embeddedKubernetes, embeddedDatabase, embeddedVault, embeddedOperator, embeddedJobRunner];

/** The parts of the environment's cluster; none unless it is embedded. */
export const partsOf = ({ environment }: Pick<Early, 'environment'>): typeof parts =>
  environment.provider === 'embedded' ? parts : [];

export const partNeeds = (input: Pick<Early, 'environment'>, mode: 'create' | 'start'): Need[] =>
  partsOf(input).map((part) => need(part, { mode }));
