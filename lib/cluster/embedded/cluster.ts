import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../ground/outcome.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { type Environment, exportHomes, remember } from '../../settings/environment.ts';
import type { Cluster } from '../provider.ts';
import { isApiReady } from './api.ts';
import { jobRunnerCommands } from './checks.ts';
import { databaseCommands, reloadDatabase } from './database.ts';
import { kubernetesCommands, waitForKubernetes } from './kubernetes.ts';
import { operatorCommands, waitForOperator } from './operator.ts';
import { isAlive, readServices } from './services.ts';
import { allServices, handOver, readState, stateCommands, stopEverything } from './state.ts';
import { vaultCommands } from './vault.ts';

/** What the cluster has in the state folder. Its own record goes last: a destroy that was interrupted can be run again. */
const files = [
  ...['kwok', 'kwok.yaml', 'nodes.yaml', 'ingress-class.yaml', 'kubeconfig', 'kube-cache', 'cluster.yaml'],
  ...['vault', 'postgresql', 'services', 'embedded.json'],
];

/** The parts are tasks of their own; what is left for `create` and `start` is to let the processes outlive the run. */
export const cluster: Cluster = {
  commands: {
    // The parts are tasks of their own and print their commands themselves.
    create: () => [],
    start: () => [],
    stop: (environment) => [
      `for service in job-runner vault-secrets-operator vault; do kill "$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' .state/${environment.name}/services/$service.json)"; done`,
      `kill -INT "$(head -n 1 .state/${environment.name}/postgresql/data/postmaster.pid)"`,
      exportHomes(environment, 'KWOK_WORKDIR'),
      `kwokctl stop cluster --name ${environment.clusterName}`,
    ],
    destroy: (environment) => [
      ...cluster.commands.stop(environment),
      `kwokctl delete cluster --name ${environment.clusterName} --kubeconfig .state/${environment.name}/kubeconfig`,
      `rm -rf ${files.map((file) => `.state/${environment.name}/${file}`).join(' ')}`,
    ],
    services: ({ environment }) => [
      '# simulated pods: Ingress and the Services of the cluster lead nowhere, only these processes of this machine answer',
      `cat .state/${environment.name}/embedded.json`,
    ],
  },

  phase: async ({ environment }) => {
    const state = await readState(environment);
    if (!state) return 'absent';
    if (state.phase === 'creating') return 'creating';
    const alive = await livingServices(environment);
    if (alive.size === 0) return 'stopped';
    const complete = allServices.every((name) => alive.has(name));
    const ready =
      complete && (await isApiReady(environment, state.ports.kubeApiserver, { for: 'administrator' }));
    return ready ? 'running' : 'degraded';
  },

  faults: async ({ environment }) => {
    const alive = await livingServices(environment);
    const dead = allServices.filter((name) => !alive.has(name));
    return dead.length > 0 ? dead.map((name) => `${name} does not run`) : ['the API server does not answer'];
  },

  create: async (context) => complete(context),
  start: async (context) => complete(context),
  stop: async ({ environment }) => ((await stopEverything(environment)) > 0 ? 'changed' : 'unchanged'),

  destroy: async ({ environment }) => {
    const stopped = await stopEverything(environment);
    // A damaged file is one, too.
    const known = await readState(environment).catch(() => true);
    for (const file of files) await rm(join(environment.state, file), { recursive: true, force: true });
    return known || stopped > 0 ? 'changed' : 'unchanged';
  },

  addresses: async ({ environment }) => {
    const state = await readState(environment);
    if (!state) return [];
    const { kubeApiserver, vault, postgresql } = state.ports;
    return [
      { name: 'Kubernetes API', address: `https://127.0.0.1:${kubeApiserver}` },
      { name: 'Vault', address: `http://127.0.0.1:${vault}` },
      { name: 'PostgreSQL', address: `127.0.0.1:${postgresql}` },
    ];
  },

  reloadDatabase,
};

/** Names of the recorded services that live. */
async function livingServices({ state }: Environment): Promise<ReadonlySet<string>> {
  const records = await readServices(state);
  const living = await Promise.all(records.map(isAlive));
  return new Set(records.filter((_, index) => living[index]).map(({ name }) => name));
}

/** The parts have done the work; the API server's last steps and the operator may still be on their way. */
async function complete(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  await waitForKubernetes(context);
  await waitForOperator(context);
  handOver();
  await remember(environment);
  return 'unchanged';
}

/** The plain commands of all parts, in the order in which they depend on each other. */
export const partCommands = {
  state: stateCommands,
  kubernetes: kubernetesCommands,
  database: databaseCommands,
  vault: vaultCommands,
  operator: operatorCommands,
  jobRunner: jobRunnerCommands,
};
