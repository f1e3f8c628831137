import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseCertificate } from '../../database/certificate.ts';
import { fileDigest, filesBelow } from '../../ground/files.ts';
import type { Context, Environment, Outcome, Target } from '../../settings/context.ts';
import { exportHomes, remember } from '../../settings/environment.ts';
import { vaultCertificate } from '../../vault/api/certificate.ts';
import type { Cluster } from '../provider.ts';
import { isApiReady } from './api.ts';
import { databaseCommands, ensureDatabase } from './database.ts';
import { ensureKubernetes, kubernetesCommands, readKubeconfig, restartEnded } from './kubernetes.ts';
import { ensureOperator, operatorCommands, waitForOperator } from './operator.ts';
import {
  ensureService,
  findProcesses,
  handOver,
  inBackground,
  refuseElsewhere,
  stopEverything,
} from './processes.ts';
import { livingServices, loadRenewed } from './services.ts';
import {
  allServices,
  checkSpace,
  clusterFolder,
  ensureState,
  type Mode,
  readState,
  requireState,
  stateCommands,
} from './state.ts';
import { ensureVault, vaultCommands } from './vault.ts';

/** The cluster's files in the state folder. The record is removed last: an interrupted destroy can be repeated. */
const files = [
  ...['cluster.yaml', 'kwok', 'kwok.yaml', 'nodes.yaml', 'ingress-class.yaml', 'kubeconfig', 'kube-cache'],
  ...['vault', 'postgresql', 'services', 'logs', 'embedded.json'],
];

/** The parts are separate tasks; `create` and `start` only let their processes outlive the run. */
export const cluster: Cluster = {
  commands: {
    // The parts' tasks print their commands.
    create: () => [],
    start: () => [],
    stop: ({ environment }) => [
      // By their words, as servers that a pasted dry run started have no record.
      `{ pwd; pwd -P; } | sed 's/[][\\.*^$+?(){}|]/\\\\&/g' | while read -r folder; do pkill -f "(job-runner.ts|vault|vault-secrets-operator) .*$folder/.state/${environment.name}/"; done`,
      `kill -INT "$(head -n 1 .state/${environment.name}/postgresql/data/postmaster.pid)"`,
      exportHomes(environment, 'KWOK_WORKDIR'),
      `kwokctl stop cluster --name ${environment.clusterName}`,
    ],
    destroy: ({ environment }) => [
      ...cluster.commands.stop({ environment }),
      `kwokctl delete cluster --name ${environment.clusterName} --kubeconfig .state/${environment.name}/kubeconfig`,
      `rm -rf ${files.map((file) => `.state/${environment.name}/${file}`).join(' ')}`,
    ],
    services: ({ environment }) => [
      '# simulated pods: Ingress and the Services of the cluster lead nowhere, only these processes of this machine answer',
      `cat .state/${environment.name}/embedded.json`,
    ],
  },

  state: async (context) => {
    const { environment } = context;
    const record = await readState(environment);
    if (!record) return { phase: 'absent' };
    if (record.phase === 'creating') return { phase: 'creating' };
    const alive = (await livingServices(environment.state)).map(({ name }) => name);
    const dead = allServices.filter((name) => !alive.includes(name));
    const found = dead.length === 0 ? [] : await findProcesses(environment, dead);
    if (dead.length === allServices.length && found.length === 0) {
      await refuseElsewhere(context);
      return { phase: 'stopped' };
    }
    const whyOf = (server: string): string =>
      found.some(({ name }) => name === server) ? 'runs, but no task recorded it' : 'does not run';
    const faults = [...(await lostFiles(environment)), ...dead.map((name) => `${name} ${whyOf(name)}`)];
    if (faults.length > 0) return { phase: 'degraded', faults };
    const isReady = await isApiReady(environment, record.ports.kubeApiserver);
    return isReady ? { phase: 'running' } : { phase: 'degraded', faults: ['the API server does not answer'] };
  },

  create: complete,
  start: complete,
  stop: async (context) => {
    await refuseElsewhere(context);
    return (await stopEverything(context.environment)) > 0 ? 'changed' : 'unchanged';
  },

  destroy: async (context) => {
    const { environment } = context;
    await refuseElsewhere(context);
    const stopped = await stopEverything(environment);
    const found = files.some((file) => existsSync(join(environment.state, file)));
    // Without it, and while it is created without its settings, a cluster counts as half removed.
    await rm(join(clusterFolder(environment), 'kwok.yaml'), { force: true });
    for (const file of files) await rm(join(environment.state, file), { recursive: true, force: true });
    return found || stopped > 0 ? 'changed' : 'unchanged';
  },

  addresses: async ({ environment }) => {
    const state = await readState(environment);
    if (!state) return [];
    const { kubeApiserver, vault, postgresql } = state.ports;
    return [
      { name: 'Kubernetes API', address: `https://127.0.0.1:${kubeApiserver}` },
      { name: 'Vault', address: `https://127.0.0.1:${vault}` },
      { name: 'PostgreSQL', address: `127.0.0.1:${postgresql}` },
    ];
  },

  reloadCertificates: async (environment) => {
    const { state } = environment;
    await loadRenewed(state, 'postgresql', databaseCertificate(environment).certificate);
    // Vault stays unsealed, open sessions of PostgreSQL stay.
    await loadRenewed(state, 'vault', vaultCertificate(environment).certificate);
  },
};

/** Files of a created cluster that were lost; a start restores them. */
async function lostFiles(environment: Environment): Promise<readonly string[]> {
  const { name, state } = environment;
  const lost = ['cluster.yaml', 'embedded.json'].filter((file) => !existsSync(join(state, file)));
  if ((await readKubeconfig(environment.kubeconfig)) === undefined) lost.push('kubeconfig');
  return lost.map((file) => `.state/${name}/${file} is missing or damaged`);
}

/** Waits for the operator after the parts are done; a server may have ended meanwhile. */
async function complete(context: Context): Promise<Outcome> {
  const { environment } = context;
  await restartEnded(context);
  await waitForOperator(context);
  handOver();
  await remember(environment);
  return 'unchanged';
}

/** A part of the cluster; each is a separate task. */
type Part = {
  commands(target: Target, mode: Mode): readonly string[] | Promise<readonly string[]>;
  ensure(context: Context, mode: Mode): Promise<Outcome | undefined>;
};

const jobRunner = 'lib/cluster/embedded/job-runner.ts';

export const sourcesDigest = async (root: string): Promise<string> =>
  fileDigest(root, [
    ...(await filesBelow(root, 'lib/cluster/embedded')),
    ...(await filesBelow(root, 'lib/database')),
  ]);

/** processes.ts finds the process by the state folder, which the program itself does not read. */
const jobRunnerWords = (node: string, path: string, { name, state }: Environment): readonly string[] => [
  ...[node, '--import', 'tsx', path, name, `${state}/`],
];

/**
 * The service that runs Jobs of simulated pods as processes. One with older sources is restarted, as it would let an
 * unknown Job pass.
 */
const jobRunnerPart: Part = {
  commands: ({ environment }) => [
    inBackground(environment, 'job-runner', jobRunnerWords('node', jobRunner, environment)),
  ],
  ensure: async (context) => {
    const { environment } = context;
    return ensureService(context, {
      name: 'job-runner',
      configuration: await sourcesDigest(environment.root),
      command: async () => jobRunnerWords(process.execPath, join(environment.root, jobRunner), environment),
    });
  },
};

/** Parts by the names of their tasks, in the order of their dependencies. */
export const parts = {
  'embedded-state': {
    commands: stateCommands,
    ensure: async (context, mode) => {
      if (mode === 'start') await requireState(context.environment);
      const state = await ensureState(context);
      if ((await cluster.state(context)).phase === 'running') return undefined;
      await refuseElsewhere(context);
      await checkSpace(context.environment, state);
      return undefined;
    },
  },
  'embedded-kubernetes': { commands: kubernetesCommands, ensure: ensureKubernetes },
  'embedded-database': { commands: databaseCommands, ensure: ensureDatabase },
  'embedded-vault': { commands: vaultCommands, ensure: ensureVault },
  'embedded-operator': { commands: operatorCommands, ensure: ensureOperator },
  'embedded-job-runner': jobRunnerPart,
} satisfies { readonly [name: string]: Part };
