import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { providerOf, requireCluster } from '../lib/cluster/cluster.ts';
import { connectCommand } from '../lib/cluster/existing.ts';
import { connectExisting } from '../lib/cluster/user-kubeconfig.ts';
import type { Outcome } from '../lib/ground/outcome.ts';
import { notesOf } from '../lib/ingress/addresses.ts';
import { controllerCommands, ensureController } from '../lib/ingress/install.ts';
import { reopen } from '../lib/operations/reopen.ts';
import {
  type AnyTask,
  type Needs,
  type Options,
  type TaskContext,
  task,
  UsageError,
} from '../lib/runner/runner.ts';
import { stopAgent } from '../lib/secrets/sops.ts';
import { type Environment, environmentOf, forgetRuns, settingsOf } from '../lib/settings/environment.ts';
import { unseal, unsealCommands } from '../lib/vault/access.ts';
import { embeddedParts } from './embedded.ts';
import { databasePasswords } from './secrets.ts';
import { tools } from './tools.ts';

const connect = task({
  name: 'connect',
  description: 'take the context of an existing cluster into a kubeconfig of our own',
  group: 'cluster',
  private: true,
  needs: tools('kubectl'),
  commands: ({ options }) => [connectCommand(environmentOf(options))],
  run: (context) => connectExisting(environmentOf(context.options), context),
});

/** Single tasks may be steps of a pipeline that never ran create-k8s: each is connected to an existing cluster on its own. */
export const connection = (options: Options): readonly AnyTask[] =>
  environmentOf(options).provider === 'existing' ? [connect] : [];

/** What the cluster's own tasks need, beside the parts of the embedded one. */
const clusterNeeds = (options: Options): Needs =>
  environmentOf(options).provider === 'minikube'
    ? tools('docker', 'minikube', 'kubectl')
    : [...tools('kubectl'), ...connection(options)];

/** Refuses, before anything runs, what cannot work with the provider at all. */
export async function checkProvider({ options }: { readonly options: Options }): Promise<void> {
  const environment = environmentOf(options);
  await providerOf(environment).check?.(await settingsOf(environment), process.getuid?.());
}

export const createK8s = task({
  name: 'create-k8s',
  description: 'make the cluster',
  group: 'cluster',
  lock: true,
  check: checkProvider,
  needs: ({ options }) =>
    environmentOf(options).provider === 'embedded'
      ? embeddedParts('create')
      : // helm for the ingress controller
        [...clusterNeeds(options), ...tools('helm')],
  after: [databasePasswords],
  commands: async ({ options }) => {
    const environment = environmentOf(options);
    const settings = await settingsOf(environment);
    const create = providerOf(environment).commands.create(environment, settings);
    return environment.provider === 'embedded'
      ? create
      : [...create, ...controllerCommands(environment, settings)];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const settings = await settingsOf(environment);
    const made = await providerOf(environment).create(environment, settings, context);
    // A cluster that was stopped is started by it, and a Vault that was sealed by that is opened again. minikube says what it
    // started; the embedded cluster's parts are tasks of their own.
    const mayBeSealed = environment.provider === 'embedded' || made === 'changed';
    const opened = mayBeSealed ? await openAgain(environment, made, context) : 'unchanged';
    let controller: Outcome = 'unchanged';
    if (environment.provider !== 'embedded') {
      controller = await ensureController(environment, settings, context);
    } else if (settings.ingress.controller !== 'none') {
      context.log(
        'the routes are objects only: the ingress controller is simulated like all pods, and nothing listens',
      );
    }
    const outcome = controller === 'changed' ? controller : made;
    context.report(opened === 'changed' ? opened : outcome);
  },
});

export const startK8s = task({
  name: 'start-k8s',
  description: 'start the cluster again, Vault included',
  group: 'cluster',
  lock: true,
  check: checkProvider,
  needs: ({ options }) => {
    const { provider } = environmentOf(options);
    if (provider === 'existing') return [];
    return provider === 'embedded' ? embeddedParts('start') : clusterNeeds(options);
  },
  commands: async ({ options }) => {
    const environment = environmentOf(options);
    const start = providerOf(environment).commands.start(environment, await settingsOf(environment));
    return [...start, ...(environment.provider === 'existing' ? [] : await unsealCommands(environment))];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const outcome = await providerOf(environment).start(environment, await settingsOf(environment), context);
    const opened = await openAgain(environment, outcome, context);
    context.report(opened === 'changed' ? opened : outcome);
  },
});

/** Unseals Vault unless the cluster is an existing one; `started` is `changed` when its nodes were just started. */
async function openAgain(environment: Environment, started: Outcome, context: TaskContext): Promise<Outcome> {
  switch (environment.provider) {
    case 'existing':
      return 'unchanged';
    case 'minikube':
      return reopen(environment, started, context);
    default:
      return unseal(environment, context);
  }
}

export const stopK8s = task({
  name: 'stop-k8s',
  description: 'stop the cluster; everything is kept',
  group: 'cluster',
  lock: true,
  needs: ({ options }) => {
    return environmentOf(options).provider === 'minikube' ? tools('docker', 'minikube') : [];
  },
  commands: ({ options }) => {
    const environment = environmentOf(options);
    return providerOf(environment).commands.stop(environment);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const outcome = await providerOf(environment).stop(environment, context);
    await stopAgent(environment, context);
    if (outcome === 'unchanged' && environment.provider !== 'existing')
      context.log('the cluster is not running: nothing to do');
    context.report(outcome);
  },
});

export const destroyK8s = task({
  name: 'destroy-k8s',
  description: 'destroy the cluster and all that is in it',
  group: 'cluster',
  lock: true,
  confirm: ({ options }) => {
    const environment = environmentOf(options);
    refuseExisting(environment);
    return `destroy the cluster of environment \`${environment.name}\` with all its data?`;
  },
  needs: ({ options }) => {
    return environmentOf(options).provider === 'minikube' ? tools('docker', 'minikube') : [];
  },
  commands: ({ options }) => {
    const environment = environmentOf(options);
    return providerOf(environment).commands.destroy(environment);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    refuseExisting(environment);
    const outcome = await providerOf(environment).destroy(environment, context);
    await stopAgent(environment, context);
    // Another provider may be chosen from now on.
    await rm(join(environment.state, 'environment.json'), { force: true });
    await forgetRuns(environment.name);
    if (outcome === 'unchanged') context.log('there is no cluster: nothing to do');
    context.report(outcome);
  },
});

function refuseExisting(environment: Environment): void {
  if (environment.provider !== 'existing') return;
  throw new UsageError({
    what: 'an existing cluster is never destroyed by these tasks',
    why: `context \`${environment.context}\` was not made by them`,
    advice: 'destroy-environment removes our releases from it',
  });
}

export const services = task({
  name: 'services',
  description: 'the services with the addresses a person can open',
  group: 'cluster',
  needs: ({ options }) => clusterNeeds(options),
  commands: async ({ options }) => {
    const environment = environmentOf(options);
    return providerOf(environment).commands.services(environment, await settingsOf(environment));
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    const addresses = await providerOf(environment).addresses(
      environment,
      await settingsOf(environment),
      context,
    );
    if (context.options.json === true) return context.print(JSON.stringify(addresses, null, 2));
    const width = Math.max(0, ...addresses.map(({ name }) => name.length));
    context.print(addresses.map(({ name, address }) => `${name.padEnd(width)}  ${address}`).join('\n'));
    for (const note of notesOf(addresses)) context.log(note);
    if (environment.provider === 'embedded') {
      context.log('the pods are simulated: Ingress and the other Services lead nowhere here');
    }
    return undefined;
  },
});
