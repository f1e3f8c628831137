import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../lib/ground/launcher.ts';
import type { Outcome } from '../lib/ground/outcome.ts';
import { type AnyTask, type Needs, type TaskContext, UsageError } from '../lib/runner/runner.ts';
import { type Environment, forgetRuns } from '../lib/settings/environment.ts';
import { embeddedParts } from './embedded.ts';
import { type Early, type Input, providerOf, task, taskWithoutSettings } from './environment-task.ts';
import { databasePasswords } from './secrets.ts';
import { tools } from './tools.ts';

const connect = task({
  name: 'connect',
  description: 'take the context of an existing cluster into a kubeconfig of our own',
  group: 'cluster',
  private: true,
  needs: tools('kubectl'),
  commands: async ({ environment }) => [
    (await import('../lib/cluster/existing.ts')).connectCommand(environment),
  ],
  run: async (context) => {
    const { connectExisting } = await import('../lib/cluster/user-kubeconfig.ts');
    await connectExisting(context.environment, context);
  },
});

/** Single tasks may be steps of a pipeline that never ran create-k8s: each is connected to an existing cluster on its own. */
export const connection = ({ provider }: Pick<Environment, 'provider'>): readonly AnyTask[] =>
  provider === 'existing' ? [connect] : [];

/** What the cluster's own tasks need, beside the parts of the embedded one. */
const clusterNeeds = (environment: Environment): Needs =>
  environment.provider === 'minikube'
    ? tools('docker', 'minikube', 'kubectl')
    : [...tools('kubectl'), ...connection(environment)];

const minikubeTools = ({ environment }: Early): Needs =>
  environment.provider === 'minikube' ? tools('docker', 'minikube') : [];

/** Refuses, before anything runs, what cannot work with the provider at all. */
export async function checkProvider({
  provider,
  settings,
}: Pick<Input, 'provider' | 'settings'>): Promise<void> {
  await provider.check?.(settings, process.getuid?.());
}

export const createK8s = task({
  name: 'create-k8s',
  description: 'make the cluster',
  group: 'cluster',
  lock: true,
  check: checkProvider,
  needs: ({ environment }) =>
    environment.provider === 'embedded'
      ? embeddedParts('create')
      : // helm for the ingress controller
        [...clusterNeeds(environment), ...tools('helm')],
  after: [databasePasswords],
  commands: async ({ environment, settings, provider }) => {
    const create = provider.commands.create(environment, settings);
    if (environment.provider === 'embedded') return create;
    const { controllerCommands } = await import('../lib/ingress/install.ts');
    return [...create, ...controllerCommands(environment, settings)];
  },
  run: async (context) => {
    const { environment, settings, provider } = context;
    const made = await provider.create(environment, settings, context);
    // A cluster that was stopped is started by it, and a Vault that was sealed by that is opened again. minikube says what it
    // started; the embedded cluster's parts are tasks of their own.
    const mayBeSealed = environment.provider === 'embedded' || made === 'changed';
    const opened = mayBeSealed ? await openAgain(environment, made, context) : 'unchanged';
    let controller: Outcome = 'unchanged';
    if (environment.provider !== 'embedded') {
      const { ensureController } = await import('../lib/ingress/install.ts');
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
  needs: ({ environment }) => {
    if (environment.provider === 'existing') return [];
    return environment.provider === 'embedded' ? embeddedParts('start') : clusterNeeds(environment);
  },
  commands: async ({ environment, settings, provider }) => {
    const start = provider.commands.start(environment, settings);
    if (environment.provider === 'existing') return start;
    const { unsealCommands } = await import('../lib/vault/access.ts');
    return [...start, ...(await unsealCommands(environment))];
  },
  run: async (context) => {
    const { environment, settings, provider } = context;
    const outcome = await provider.start(environment, settings, context);
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
      return (await import('../lib/operations/reopen.ts')).reopen(environment, started, context);
    default:
      return (await import('../lib/vault/access.ts')).unseal(environment, context);
  }
}

export const stopK8s = taskWithoutSettings({
  name: 'stop-k8s',
  description: 'stop the cluster; everything is kept',
  group: 'cluster',
  lock: true,
  needs: minikubeTools,
  commands: async ({ environment }) => (await providerOf(environment)).commands.stop(environment),
  run: async (context) => {
    const { environment } = context;
    const provider = await providerOf(environment);
    const { stopAgent } = await import('../lib/secrets/sops.ts');
    const outcome = await provider.stop(environment, context);
    await stopAgent(environment, context);
    if (outcome === 'unchanged' && provider.name !== 'existing')
      context.log('the cluster is not running: nothing to do');
    context.report(outcome);
  },
});

export const destroyK8s = taskWithoutSettings({
  name: 'destroy-k8s',
  description: 'destroy the cluster and all that is in it',
  group: 'cluster',
  lock: true,
  confirm: ({ environment }) => {
    refuseExisting(environment);
    return `destroy the cluster of environment \`${environment.name}\` with all its data?`;
  },
  needs: minikubeTools,
  commands: async ({ environment }) => (await providerOf(environment)).commands.destroy(environment),
  run: async (context) => {
    const { environment } = context;
    refuseExisting(environment);
    const provider = await providerOf(environment);
    const { stopAgent } = await import('../lib/secrets/sops.ts');
    const outcome = await provider.destroy(environment, context);
    await stopAgent(environment, context);
    // Another provider may be chosen from now on.
    await rm(join(environment.state, 'environment.json'), { force: true });
    await forgetRuns(environment);
    if (outcome === 'unchanged') context.log('there is no cluster: nothing to do');
    context.report(outcome);
  },
});

function refuseExisting(environment: Environment): void {
  if (environment.provider !== 'existing') return;
  throw new UsageError({
    what: 'an existing cluster is never destroyed by these tasks',
    why: `context \`${environment.context}\` was not made by them`,
    advice: `${taskCommand('destroy-environment')} removes our releases from it`,
  });
}

export const services = task({
  name: 'services',
  description: 'the services with the addresses a person can open',
  group: 'cluster',
  needs: ({ environment }) => clusterNeeds(environment),
  commands: ({ environment, settings, provider }) => provider.commands.services(environment, settings),
  onCluster: true,
  run: async (context) => {
    const { environment, settings, provider, options } = context;
    const addresses = await provider.addresses(environment, settings, context);
    if (options.json) return context.print(JSON.stringify(addresses, null, 2));
    const { notesOf } = await import('../lib/ingress/addresses.ts');
    const width = Math.max(0, ...addresses.map(({ name }) => name.length));
    context.print(addresses.map(({ name, address }) => `${name.padEnd(width)}  ${address}`).join('\n'));
    for (const note of notesOf(addresses)) context.log(note);
    if (provider.name === 'embedded') {
      context.log('the pods are simulated: Ingress and the other Services lead nowhere here');
    }
    return undefined;
  },
});
