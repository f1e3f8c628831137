import { providerOf } from '../lib/cluster/cluster.ts';
import { ensureJobRunner } from '../lib/cluster/embedded/checks.ts';
import { ensureDatabase } from '../lib/cluster/embedded/database.ts';
import { partCommands } from '../lib/cluster/embedded/embedded.ts';
import { ensureKubernetes } from '../lib/cluster/embedded/kubernetes.ts';
import { ensureOperator } from '../lib/cluster/embedded/operator.ts';
import { checkSpace, ensureState, requireState } from '../lib/cluster/embedded/state.ts';
import { ensureVault } from '../lib/cluster/embedded/vault.ts';
import { type AnyTask, need, task } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { databaseCertificate } from './certificates.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

/*
 * The parts of the embedded cluster. Each is a task of its own, so that they start side by side and each as soon as its own
 * tools are there. `create` makes what is missing, `start` wants a cluster that was made before.
 */
const mode = {
  mode: { type: 'choice', choices: ['create', 'start'], description: 'make what is missing, or only start' },
} as const;

const part = { group: 'cluster', private: true, args: mode, lock: true } as const;

const embeddedState = task({
  ...part,
  name: 'embedded-state',
  description: 'choose names and ports of the embedded cluster',
  commands: async ({ args, options }) => {
    if (args.mode === 'start') return [];
    const environment = environmentOf(options);
    const { cluster } = await settingsOf(environment);
    return partCommands.state(environment, cluster.kubernetesVersion);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const { cluster } = await settingsOf(environment);
    if (context.args.mode === 'create') await ensureState(environment, cluster.kubernetesVersion);
    else await requireState(environment);
    if ((await providerOf(environment).phase(environment, context)) !== 'running')
      await checkSpace(environment);
  },
});

const embeddedKubernetes = task({
  ...part,
  name: 'embedded-kubernetes',
  description: 'etcd, the Kubernetes control plane and simulated nodes',
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
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    return partCommands.kubernetes(environment, await settingsOf(environment), args.mode);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    context.report(await ensureKubernetes(environment, await settingsOf(environment), context));
  },
});

const embeddedDatabase = task({
  ...part,
  name: 'embedded-database',
  description: 'the real PostgreSQL behind the simulated pod',
  // Its first password is the one of the secrets file.
  check: (input) => (input.args.mode === 'create' ? refuseDevelopmentKeys(input) : undefined),
  needs: ({ args }) => [
    need(embeddedState, args),
    importGpgKeys,
    databaseCertificate,
    ...tools('sops', 'postgresql'),
  ],
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    return partCommands.database(environment, await settingsOf(environment), args.mode);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    context.report(await ensureDatabase(environment, await settingsOf(environment), context));
  },
});

const embeddedVault = task({
  ...part,
  name: 'embedded-vault',
  description: 'the real Vault behind the simulated pod',
  needs: ({ args }) => [need(embeddedState, args), ...tools('vault')],
  commands: ({ options }) => partCommands.vault(environmentOf(options)),
  run: async (context) => {
    context.report(await ensureVault(environmentOf(context.options), context));
  },
});

const embeddedOperator = task({
  ...part,
  name: 'embedded-operator',
  description: 'the real Vault Secrets Operator',
  needs: ({ args }) => [need(embeddedKubernetes, args), ...tools('vault-secrets-operator')],
  commands: ({ options }) => partCommands.operator(environmentOf(options)),
  run: async (context) => {
    context.report(await ensureOperator(environmentOf(context.options), context));
  },
});

const embeddedJobRunner = task({
  ...part,
  name: 'embedded-job-runner',
  description: 'runs the checks of simulated pods as processes',
  needs: ({ args }) => [need(embeddedKubernetes, args)],
  commands: ({ options }) => partCommands.jobRunner(environmentOf(options)),
  run: async (context) => {
    context.report(await ensureJobRunner(environmentOf(context.options), context));
  },
});

const parts = [embeddedKubernetes, embeddedDatabase, embeddedVault, embeddedOperator, embeddedJobRunner];

/** All parts of the embedded cluster, as needs. */
export const embeddedParts = (mode: 'create' | 'start') => parts.map((part) => need(part, { mode }));

/** What a deployment comes after: the API takes releases as soon as all parts run, also while the operator still starts. */
export const runningParts: readonly AnyTask[] = parts;
