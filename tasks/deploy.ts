import { type AnyTask, type Needs, need } from '@k8s-deployment/runner';
import { root } from '../lib/ground/project.ts';
import { certificates } from './certificates.ts';
import { checkProvider, createK8s, startK8s } from './cluster.ts';
import { connection } from './connection.ts';
import { partsOf } from './embedded.ts';
import { type Body, type Early, type Input, task } from './environment-task.ts';
import { imagesFor } from './images.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { chartTools, tools } from './tools.ts';

const declared = () => import('../lib/helm/helmfile.ts');
const plain = () => import('../lib/deploy/commands.ts');

const app = {
  app: {
    type: 'choice',
    positional: true,
    choices: async () => (await declared()).declaredValues(root, 'app'),
    noun: 'app',
    description: 'an application, such as app1',
  },
} as const;

const tier = {
  tier: {
    type: 'choice',
    positional: true,
    choices: async () => (await declared()).declaredValues(root, 'tier'),
    noun: 'tier',
    description: 'core or apps',
  },
} as const;

export const initHelmfile = task({
  name: 'init-helmfile',
  description: 'check helm, helmfile and the settings; install the optional helm plugins',
  lock: true,
  needs: [...tools('helm', 'helmfile', 'kubectl', 'sops'), chartTools],
  check: async (input) => (await declared()).checkLeftOut(input),
  commands: async (input) => {
    const { pluginCommands } = await import('../lib/helm/helm.ts');
    return ['helm version', 'helmfile --version', ...pluginCommands(input)];
  },
  run: async (context) => {
    const { checkCharts } = await import('../lib/helm/chart-places.ts');
    const { installPlugins } = await import('../lib/helm/helm.ts');
    const { root } = context.environment;
    await checkCharts(root, await (await declared()).declaredReleases(root));
    return installPlugins(context);
  },
});

/** Common parts of all deployment tasks. */
const deployment = {
  passThrough: true,
  needs: (input: Pick<Early, 'provider'>, made: Needs[number] = certificates) => [
    ...connection(input),
    initHelmfile,
    importGpgKeys,
    made,
  ],
  // The embedded cluster accepts releases while its operator still starts.
  after: (input: Pick<Early, 'environment'>): readonly AnyTask[] => {
    const parts = partsOf(input);
    return parts.length > 0 ? parts : [createK8s, startK8s];
  },
  onCluster: true,
} as const;

/** What functions that tasks of several arguments share are given. */
type Selected<Given> = Omit<Given, 'args'> & {
  readonly args: { readonly tier?: string; readonly app?: string };
};

/** Common parts of all installs; openssl creates the fronts' certificates. */
const installation = {
  ...deployment,
  lock: true,
  check: async (input: Omit<Input, 'args'>) => {
    await checkProvider(input);
    await refuseDevelopmentKeys(input);
  },
  needs: (input: Selected<Pick<Early, 'provider'>>): Needs => [
    ...deployment.needs(input),
    ...tools('openssl'),
    ...imagesFor(input, input.args),
  ],
  // Not `inputs`, since only the cluster tells whether something has to be done.
  watched: async (input: Selected<Input>) => (await plain()).watchedFiles(input, input.args),
  commands: async (input: Selected<Input>) => (await plain()).installCommands(input),
  run: async (context: Selected<Body>) =>
    (await import('../lib/deploy/install.ts')).install(context, context.args),
} as const;

export const installAll = task({
  ...installation,
  name: 'install-all',
  description: 'install every release; arguments after -- go to helmfile',
});

export const installTier = task({
  ...installation,
  name: 'install-tier',
  description: 'install a tier and its dependencies',
  args: tier,
});

export const installApp = task({
  ...installation,
  name: 'install-app',
  description: 'install an application and its dependencies',
  args: app,
});

const comparison = {
  ...deployment,
  needs: (input: Pick<Early, 'provider'>) =>
    deployment.needs(input, need(certificates, { offline: input.provider.ownsCluster })),
  commands: async (input: Selected<Input>) => (await plain()).diffCommands(input),
  run: async (context: Selected<Body>) => (await import('../lib/deploy/diff.ts')).diff(context, context.args),
} as const;

export const diff = task({ ...comparison, name: 'diff', description: 'show what install-all would change' });

export const diffTier = task({
  ...comparison,
  name: 'diff-tier',
  description: 'show what install-tier would change',
  args: tier,
});

export const diffApp = task({
  ...comparison,
  name: 'diff-app',
  description: 'show what install-app would change',
  args: app,
});

const manifests = () => import('../lib/deploy/render.ts');

export const render = task({
  name: 'render',
  description: 'write what install-all would apply to a folder, with encrypted Secrets; asks no cluster',
  lock: true,
  args: {
    output: {
      type: 'path',
      noun: 'folder',
      hidesGlobal: true,
      description: 'the folder for the manifests; it may have nothing else',
    },
    format: {
      type: 'choice',
      choices: ['argocd', 'flux'],
      optional: true,
      description: 'add what Argo CD or Flux needs to apply them in order',
    },
  },
  needs: [
    ...tools('helm', 'helmfile', 'sops'),
    chartTools,
    importGpgKeys,
    need(certificates, { offline: true }),
  ],
  check: async (input, names) => {
    await (await declared()).checkLeftOut(input);
    await refuseDevelopmentKeys(input);
    await (await manifests()).checkOutput(input, input.args);
    // Manifests have the addresses of servers beside the cluster.
    if (!names.includes('create-k8s') && input.provider.servers)
      await (await import('../lib/cluster/messages.ts')).requireCreated(input.environment);
  },
  commands: async (input) => (await manifests()).renderCommands(input, input.args),
  run: async (context) => (await manifests()).renderManifests(context, context.args),
});

const helmTests = {
  ...deployment,
  lock: true,
  commands: async (input: Selected<Input>) => (await plain()).testCommands(input),
  run: async (context: Selected<Body>) =>
    (await import('../lib/deploy/deployed.ts')).test(context, context.args),
} as const;

export const testAll = task({
  ...helmTests,
  name: 'test',
  description: 'run the helm tests of every release',
});

export const testApp = task({
  ...helmTests,
  name: 'test-app',
  description: "run an application's helm tests",
  args: app,
});

export const uninstallApp = task({
  ...deployment,
  name: 'uninstall-app',
  description: 'remove the releases of an application',
  args: app,
  lock: true,
  confirm: ({ args, environment }) =>
    `remove the releases of \`${args.app}\` from environment \`${environment.name}\`?`,
  commands: async (input) => (await plain()).uninstallCommands(input),
  run: async (context) => (await import('../lib/deploy/deployed.ts')).uninstall(context, context.args),
});

export const rollback = task({
  name: 'rollback',
  description: 'roll a release back to an earlier revision (default: the last good one)',
  lock: true,
  args: {
    release: {
      type: 'choice',
      positional: true,
      choices: async () => (await declared()).declaredValues(root, 'name'),
      noun: 'release',
      description: 'a release, such as app1-back',
    },
    revision: {
      type: 'number',
      range: [1],
      positional: true,
      optional: true,
      description: 'a revision of `helm history`',
    },
  },
  // The keys are for Vault, whose pods are replaced and unsealed.
  needs: (input) => [...tools('helm', 'kubectl', 'sops'), importGpgKeys, ...connection(input)],
  confirm: ({ args }) =>
    `roll \`${args.release}\` back to ${args.revision === undefined ? 'its last good revision' : `revision ${args.revision}`}?`,
  commands: async (input) => (await plain()).rollbackCommands(input, input.args.release, input.args.revision),
  onCluster: true,
  run: async (context) => {
    const { rollBackRelease } = await import('../lib/deploy/deployed.ts');
    await rollBackRelease(context, context.args.release, context.args.revision);
  },
});
