import { access } from 'node:fs/promises';
import { requireCluster } from '../lib/cluster/cluster.ts';
import { diff as diffReleases } from '../lib/deploy/diff.ts';
import {
  install,
  type Selection,
  selector,
  selectsRelease,
  test as testReleases,
  testWords,
  uninstall,
} from '../lib/deploy/install.ts';
import { root } from '../lib/ground/project.ts';
import { tellDrift } from '../lib/helm/changed-releases.ts';
import { lastGoodRevision, rollBack, syncWords, takeBack } from '../lib/helm/helm.ts';
import {
  appNames,
  declaredReleases,
  helmfileText,
  releaseNames,
  tierNames,
  withNeeds,
} from '../lib/helm/helmfile.ts';
import { pendingReleases } from '../lib/helm/pending.ts';
import { installPlugins, pluginCommands } from '../lib/helm/plugins.ts';
import { deployedReleases } from '../lib/helm/releases.ts';
import { removeRouteCertificates, routeCertificateCommands } from '../lib/ingress/certificates.ts';
import { helmText } from '../lib/kubernetes/kubectl.ts';
import { type Needs, type Options, type TaskContext, TaskError, task } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf, shellOf } from '../lib/settings/environment.ts';
import { databaseCertificate } from './certificates.ts';
import { checkProvider, connection, createK8s, startK8s } from './cluster.ts';
import { runningParts } from './embedded.ts';
import { imagesFor } from './images.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { chartTools, tools } from './tools.ts';

const app = {
  app: {
    type: 'choice',
    positional: true,
    choices: appNames,
    noun: 'app',
    description: 'an application, such as app1',
  },
} as const;

const tier = {
  tier: { type: 'choice', positional: true, choices: tierNames, noun: 'tier', description: 'core or apps' },
} as const;

export const initHelmfile = task({
  name: 'init-helmfile',
  description: 'check helm, helmfile and the settings; get the optional helm plugins',
  group: 'deploy',
  lock: true,
  needs: [...tools('helm', 'helmfile', 'kubectl', 'sops'), chartTools],
  commands: ({ options }) => [
    'helm version',
    'helmfile --version',
    ...pluginCommands(environmentOf(options)),
  ],
  run: async (context) => {
    const environment = environmentOf(context.options);
    for (const { name, chart } of await declaredReleases()) {
      if (!chart.startsWith('./')) continue;
      await access(`${root}/${chart}/Chart.yaml`).catch(() => {
        throw new TaskError({
          what: `release ${name} names the chart ${chart}, which is not there`,
          why: 'its Chart.yaml cannot be read',
          advice: 'mend helmfile.yaml',
        });
      });
    }
    context.report(await installPlugins(environment, context));
  },
});

/** What all tasks of a deployment have in common. */
const deployment = {
  group: 'deploy',
  passThrough: true,
  needs: ({ options }: { readonly options: Options }) => [
    ...connection(options),
    initHelmfile,
    importGpgKeys,
    databaseCertificate,
  ],
  after: ({ options }: { readonly options: Options }) =>
    environmentOf(options).provider === 'embedded' ? runningParts : [createK8s, startK8s],
} as const;

async function onCluster(context: TaskContext, work: (context: TaskContext) => Promise<void>): Promise<void> {
  await requireCluster(environmentOf(context.options), context);
  await work(context);
}

/** One helmfile call as a plain command; `needs` takes in what the selected releases need. */
const plain = async (
  options: Options,
  selection: Selection,
  words: readonly string[],
  passThrough: readonly string[],
  needs = false,
) => [
  await helmfileText(
    options,
    ...selector(selection),
    ...words,
    ...(needs && selector(selection).length > 0 ? ['--include-transitive-needs'] : []),
    ...passThrough,
  ),
];

/** One helmfile call, and the certificates of the fronts that it installs. */
const plainInstall = async (
  options: Options,
  selection: Selection,
  passThrough: readonly string[],
): Promise<readonly string[]> => {
  const environment = environmentOf(options);
  const releases = withNeeds(await declaredReleases(), selectsRelease(selection));
  return [
    ...(await plain(options, selection, syncWords(takeBack), passThrough, true)),
    ...routeCertificateCommands(environment, await settingsOf(environment), releases),
  ];
};

/** What all installs have in common. */
const installation = {
  ...deployment,
  check: async (input: { readonly options: Options }) => {
    await checkProvider(input);
    await refuseDevelopmentKeys(input);
  },
} as const;

/** The needs of an install: openssl makes the certificates of the fronts. */
const installNeeds = (options: Options, selection: Selection): Needs => [
  ...deployment.needs({ options }),
  ...tools('openssl'),
  ...imagesFor(options, selection),
];

export const installAll = task({
  ...installation,
  name: 'install-all',
  description: 'install every release; arguments after -- go to helmfile',
  needs: ({ options }) => installNeeds(options, {}),
  lock: true,
  commands: ({ options, passThrough }) => plainInstall(options, {}, passThrough),
  run: (context) => onCluster(context, () => install(context, {})),
});

export const installTier = task({
  ...installation,
  name: 'install-tier',
  description: 'install a tier and what it needs',
  args: tier,
  needs: ({ args, options }) => installNeeds(options, args),
  lock: true,
  commands: ({ args, options, passThrough }) => plainInstall(options, { tier: args.tier }, passThrough),
  run: (context) => onCluster(context, () => install(context, { tier: context.args.tier })),
});

export const installApp = task({
  ...installation,
  name: 'install-app',
  description: 'install an application and what it needs',
  args: app,
  needs: ({ args, options }) => installNeeds(options, args),
  lock: true,
  commands: ({ args, options, passThrough }) => plainInstall(options, { app: args.app }, passThrough),
  run: (context) => onCluster(context, () => install(context, { app: context.args.app })),
});

export const diff = task({
  ...deployment,
  name: 'diff',
  description: 'what install-all would change',
  commands: ({ options, passThrough }) =>
    plain(options, {}, ['diff'], ['--suppress-secrets', ...passThrough]),
  run: (context) => onCluster(context, () => diffReleases(context, {})),
});

export const diffTier = task({
  ...deployment,
  name: 'diff-tier',
  description: 'what install-tier would change',
  args: tier,
  commands: ({ args, options, passThrough }) =>
    plain(options, { tier: args.tier }, ['diff'], ['--suppress-secrets', ...passThrough], true),
  run: (context) => onCluster(context, () => diffReleases(context, { tier: context.args.tier })),
});

export const diffApp = task({
  ...deployment,
  name: 'diff-app',
  description: 'what install-app would change',
  args: app,
  commands: ({ args, options, passThrough }) =>
    plain(options, { app: args.app }, ['diff'], ['--suppress-secrets', ...passThrough], true),
  run: (context) => onCluster(context, () => diffReleases(context, { app: context.args.app })),
});

export const testAll = task({
  ...deployment,
  name: 'test',
  description: 'run the helm tests of every release',
  lock: true,
  commands: ({ options, passThrough }) => plain(options, {}, testWords, passThrough),
  run: (context) => onCluster(context, () => testReleases(context, {})),
});

export const testApp = task({
  ...deployment,
  name: 'test-app',
  description: "run an application's helm tests",
  args: app,
  lock: true,
  commands: ({ args, options, passThrough }) => plain(options, { app: args.app }, testWords, passThrough),
  run: (context) => onCluster(context, () => testReleases(context, { app: context.args.app })),
});

export const uninstallApp = task({
  ...deployment,
  name: 'uninstall-app',
  description: 'remove the releases of an application',
  args: app,
  lock: true,
  confirm: ({ args, options }) =>
    `remove the releases of \`${args.app}\` from environment \`${environmentOf(options).name}\`?`,
  commands: ({ args, options, passThrough }) => plain(options, { app: args.app }, ['destroy'], passThrough),
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    const removed = await uninstall(context, { app: context.args.app });
    await removeRouteCertificates(environment, removed, context);
    context.report('changed');
  },
});

export const rollback = task({
  name: 'rollback',
  description: 'bring a release back to an earlier revision (default: the last good one)',
  group: 'deploy',
  lock: true,
  args: {
    release: {
      type: 'choice',
      positional: true,
      choices: releaseNames,
      noun: 'release',
      description: 'a release, such as app1-back',
    },
    revision: {
      type: 'number',
      positional: true,
      optional: true,
      description: 'a revision of `helm history`',
    },
  },
  needs: ({ options }) => [...tools('helm', 'kubectl'), ...connection(options)],
  confirm: ({ args }) =>
    `roll \`${args.release}\` back to ${args.revision === undefined ? 'the revision before' : `revision ${args.revision}`}?`,
  commands: async ({ args, options }) => {
    const release = (await declaredReleases()).find((candidate) => candidate.name === args.release);
    return [
      `${helmText(environmentOf(options))} --namespace ${release?.namespace} rollback ${args.release}${args.revision === undefined ? '' : ` ${args.revision}`} --wait --timeout ${release?.timeout}s ${takeBack.join(' ')}`,
    ];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    const release = (await declaredReleases()).find(({ name }) => name === context.args.release);
    if (!release) throw new Error(`helmfile.yaml lost the release ${context.args.release} meanwhile`);
    const $ = await shellOf(context);
    const deployed = await deployedReleases($, environment);
    await pendingReleases(environment, [release], deployed);
    await tellDrift(context, environment, [release], deployed, context.log);
    const revision = context.args.revision ?? (await lastGoodRevision($, environment, release, true));
    if (revision === undefined) {
      throw new TaskError({
        what: `${release.name} has no earlier revision to go back to`,
        why: 'only a revision that was once in service counts',
        advice: `see: helm --namespace ${release.namespace} history ${release.name}`,
      });
    }
    await rollBack($, environment, release, revision);
    context.report('changed');
  },
});
