import { type Need, need } from '@k8s-deployment/runner';
import { databaseCertificate } from './certificates.ts';
import { type Early, task } from './environment-task.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

/*
 * The parts of the embedded cluster. Each is a task, so that they start in parallel, each once its tools are installed. `create`
 * creates what is missing, `start` needs an existing cluster.
 */
const mode = {
  mode: {
    type: 'choice',
    choices: ['create', 'start'],
    description: 'create what is missing, or only start',
  },
} as const;

const part = { group: 'cluster', private: true, args: mode, lock: true } as const;

const partCommands = async () => (await import('../lib/cluster/embedded/cluster.ts')).partCommands;

const embeddedState = task({
  ...part,
  name: 'embedded-state',
  description: 'choose names and ports of the embedded cluster',
  commands: async ({ args, environment, settings }) => {
    if (args.mode === 'start') return [];
    return (await partCommands()).state(environment, settings.cluster.kubernetesVersion);
  },
  run: async (context) => {
    const { args, environment, settings, provider } = context;
    const { checkSpace, ensureState, requireState } = await import('../lib/cluster/embedded/state.ts');
    if (args.mode === 'create') await ensureState(environment, settings.cluster.kubernetesVersion);
    else await requireState(environment);
    if ((await (await provider.load()).phase(context)) !== 'running') await checkSpace(environment);
  },
});

const embeddedKubernetes = task({
  ...part,
  name: 'embedded-kubernetes',
  description: 'start etcd, the Kubernetes control plane and simulated nodes',
  needs: ({ args }) => [
    need(embeddedState, args),
    ...tools(
      'etcd',
      'kube-apiserver',
      'kube-controller-manager',
      'kube-scheduler',
      'kwok',
      'kwokctl',
      'kubectl',
    ),
  ],
  commands: async (input) => (await partCommands()).kubernetes(input, input.args.mode),
  run: async (context) => (await import('../lib/cluster/embedded/kubernetes.ts')).ensureKubernetes(context),
});

const embeddedDatabase = task({
  ...part,
  name: 'embedded-database',
  description: 'start the real PostgreSQL behind the simulated pod',
  // A new server gets its password from the secrets file.
  check: (input) => (input.args.mode === 'create' ? refuseDevelopmentKeys(input) : undefined),
  needs: ({ args }) => [
    need(embeddedState, args),
    importGpgKeys,
    databaseCertificate,
    ...tools('sops', 'postgresql'),
  ],
  commands: async (input) => (await partCommands()).database(input, input.args.mode),
  run: async (context) => (await import('../lib/cluster/embedded/database.ts')).ensureDatabase(context),
});

const embeddedVault = task({
  ...part,
  name: 'embedded-vault',
  description: 'start the real Vault behind the simulated pod',
  needs: ({ args }) => [need(embeddedState, args), ...tools('vault')],
  commands: async ({ environment }) => (await partCommands()).vault(environment),
  run: async (context) => (await import('../lib/cluster/embedded/vault.ts')).ensureVault(context),
});

const embeddedOperator = task({
  ...part,
  name: 'embedded-operator',
  description: 'start the real Vault Secrets Operator',
  needs: ({ args }) => [need(embeddedKubernetes, args), ...tools('vault-secrets-operator')],
  commands: async ({ environment }) => (await partCommands()).operator(environment),
  run: async (context) => (await import('../lib/cluster/embedded/operator.ts')).ensureOperator(context),
});

const embeddedJobRunner = task({
  ...part,
  name: 'embedded-job-runner',
  description: 'start the service that runs the checks of simulated pods',
  needs: ({ args }) => [need(embeddedKubernetes, args)],
  commands: async ({ environment }) => (await partCommands()).jobRunner(environment),
  run: async (context) =>
    (await import('../lib/cluster/embedded/job-runner-service.ts')).ensureJobRunner(context),
});

const parts = [embeddedKubernetes, embeddedDatabase, embeddedVault, embeddedOperator, embeddedJobRunner];

/** The parts of the environment's cluster, none unless it is the embedded one. */
export const partsOf = ({ environment }: Pick<Early, 'environment'>): typeof parts =>
  environment.provider === 'embedded' ? parts : [];

export const partNeeds = (input: Pick<Early, 'environment'>, mode: 'create' | 'start'): Need[] =>
  partsOf(input).map((part) => need(part, { mode }));
