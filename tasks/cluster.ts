import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Needs, UsageError } from '@k8s-deployment/runner';
import { taskCommand } from '../lib/ground/launcher.ts';
import type { Environment, Outcome } from '../lib/settings/context.ts';
import { forgetRuns } from '../lib/settings/environment.ts';
import { connection } from './connection.ts';
import { partNeeds } from './embedded.ts';
import { type Body, type Early, type Input, task, taskWithoutSettings } from './environment-task.ts';
import { databasePasswords } from './secrets.ts';
import { tools } from './tools.ts';

/** Empty for an existing cluster, where these tasks fail anyway. */
const stopTools = ({ provider }: Early): Needs => tools(...provider.toolsFor.stop);

/** Refuses settings and users that the provider does not support, before anything runs. */
export async function checkProvider({
  provider,
  settings,
}: Pick<Input, 'provider' | 'settings'>): Promise<void> {
  await (await provider.load()).check?.(settings, process.getuid?.());
}

export const createK8s = task({
  name: 'create-k8s',
  description: 'create the cluster',
  lock: true,
  check: checkProvider,
  needs: (input) => [
    ...connection(input),
    ...tools(...input.provider.toolsFor.create),
    ...partNeeds(input, 'create'),
  ],
  after: [databasePasswords],
  commands: async (input) => {
    const create = (await input.provider.load()).commands.create(input);
    if (input.provider.simulatedPods) return create;
    const { controllerCommands } = await import('../lib/ingress/install.ts');
    return [...create, ...controllerCommands(input)];
  },
  run: async (context) => {
    const { settings, provider } = context;
    const made = await (await provider.load()).create(context);
    // It may have started a stopped cluster, with a sealed Vault. Servers beside a cluster start by their own tasks.
    const mayBeSealed = provider.servers !== undefined || made === 'changed';
    const opened = mayBeSealed ? await openAgain(context, made, 'reopenBeforeInstall') : 'unchanged';
    let controller: Outcome = 'unchanged';
    if (!provider.simulatedPods) {
      const { ensureController } = await import('../lib/ingress/install.ts');
      controller = await ensureController(context);
    } else if (settings.ingress.controller !== 'none') {
      context.log(
        'routes exist as objects only: the ingress controller is simulated like all pods, and nothing listens',
      );
    }
    return [made, opened, controller].includes('changed') ? 'changed' : 'unchanged';
  },
});

export const startK8s = task({
  name: 'start-k8s',
  description: 'start the cluster again, Vault included',
  lock: true,
  check: checkProvider,
  needs: (input) => [...tools(...input.provider.toolsFor.start), ...partNeeds(input, 'start')],
  commands: async (input) => {
    const start = (await input.provider.load()).commands.start(input);
    if (!input.provider.ownsCluster) return start;
    const { unsealVaultCommands } = await import('../lib/vault/dry-run.ts');
    return [...start, ...(await unsealVaultCommands(input))];
  },
  run: async (context) => {
    const outcome = await (await context.provider.load()).start(context);
    const opened = await openAgain(context, outcome, 'reopen');
    return opened === 'changed' ? opened : outcome;
  },
});

/** Unseals Vault, except on an existing cluster; `started` is `changed` if its nodes just started. */
async function openAgain(context: Body, started: Outcome, way: 'reopen' | 'reopenBeforeInstall') {
  const { provider } = context;
  if (!provider.ownsCluster) return 'unchanged';
  return provider.servers
    ? (await import('../lib/vault/init-vault.ts')).unseal(context)
    : (await import('../lib/operations/reopen.ts'))[way](context, started);
}

export const stopK8s = taskWithoutSettings({
  name: 'stop-k8s',
  description: 'stop the cluster and keep its data',
  lock: true,
  needs: stopTools,
  commands: async (input) => (await input.provider.load()).commands.stop(input),
  run: async (context) => {
    const { provider } = context;
    const { stopAgent } = await import('../lib/secrets/keyring.ts');
    const outcome = await (await provider.load()).stop(context);
    await stopAgent(context);
    if (outcome === 'unchanged' && provider.ownsCluster)
      context.log('the cluster is not running: nothing to do');
    return outcome;
  },
});

export const destroyK8s = taskWithoutSettings({
  name: 'destroy-k8s',
  description: 'destroy the cluster and all its data',
  lock: true,
  confirm: ({ environment, provider }) => {
    refuseExisting(environment, provider);
    return `destroy the cluster of environment \`${environment.name}\` with all its data?`;
  },
  needs: stopTools,
  commands: async (input) =>
    input.provider.ownsCluster
      ? (await input.provider.load()).commands.destroy(input)
      : ['# an existing cluster is not destroyed by these tasks'],
  run: async (context) => {
    const { environment, provider } = context;
    refuseExisting(environment, provider);
    const { stopAgent } = await import('../lib/secrets/keyring.ts');
    const outcome = await (await provider.load()).destroy(context);
    await stopAgent(context);
    // Lets the user choose another provider.
    await rm(join(environment.state, 'environment.json'), { force: true });
    await forgetRuns(environment);
    if (outcome === 'unchanged') context.log('there is no cluster: nothing to do');
    return outcome;
  },
});

function refuseExisting({ context }: Environment, { ownsCluster }: Early['provider']): void {
  if (ownsCluster) return;
  throw new UsageError({
    what: 'an existing cluster is never destroyed by these tasks',
    why: `context \`${context}\` was not made by them`,
    advice: `${taskCommand('destroy-environment')} removes the project's releases from it`,
  });
}

export const services = task({
  name: 'services',
  description: 'list the services and their addresses',
  needs: (input) => [...connection(input), ...tools(...input.provider.toolsFor.services)],
  commands: async (input) => (await input.provider.load()).commands.services(input),
  onCluster: true,
  run: async (context) => {
    const { provider, options } = context;
    const addresses = await (await provider.load()).addresses(context);
    if (options.json) return context.print(JSON.stringify(addresses, null, 2));
    const { formatAddresses, notesOf } = await import('../lib/ingress/routes.ts');
    context.print(formatAddresses(addresses));
    for (const note of notesOf(addresses)) context.log(note);
    if (provider.simulatedPods)
      context.log('the pods are simulated: Ingress and the other Services lead nowhere here');
  },
});

export const forward = task({
  name: 'forward',
  description: 'keep ports to Vault, PostgreSQL and the ingress open, and print their addresses',
  args: {
    servers: {
      type: 'choice',
      positional: true,
      variadic: true,
      optional: true,
      choices: ['vault', 'postgresql', 'ingress'],
      noun: 'server',
      description: 'vault, postgresql or ingress; default: all',
    },
  },
  needs: (input) => [...connection(input), ...tools('kubectl')],
  after: [createK8s, startK8s],
  check: async (input) => {
    (await import('../lib/operations/forward.ts')).serversToForward(input, input.args.servers);
  },
  // A little longer than pods may take to answer after the cluster starts.
  ready: { log: 'open until Ctrl-C', timeoutMs: 150_000 },
  commands: async (input) =>
    (await import('../lib/operations/forward.ts')).forwardCommands(input, input.args.servers),
  onCluster: true,
  run: async (context) =>
    (await import('../lib/operations/forward.ts')).forward(context, context.args.servers),
});
