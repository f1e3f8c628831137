import { need, UsageError } from '@k8s-deployment/runner';
import { taskCommand } from '../lib/ground/launcher.ts';
import { shellWords } from '../lib/ground/shell-words.ts';
import { createK8s } from './cluster.ts';
import { connection } from './connection.ts';
import { initHelmfile, installAll, installTier, testAll } from './deploy.ts';
import { task, taskWithoutSettings } from './environment-task.ts';
import { testRoutes } from './ingress.ts';
import { databasePasswords, importGpgKeys } from './secrets.ts';
import { tools } from './tools.ts';
import { initVault } from './vault.ts';

const removal = () => import('../lib/operations/destroy.ts');

export const createEnvironment = task({
  name: 'create-environment',
  aliases: ['up'],
  description: 'create the whole environment: cluster, platform, secrets, Vault',
  lock: true,
  needs: ({ provider }) => [
    ...[createK8s, initHelmfile, importGpgKeys, need(installTier, { tier: 'core' }), initVault],
    // Servers beside a cluster check their own passwords.
    ...(provider.servers ? [] : [databasePasswords]),
  ],
  commands: () => [],
  run: async (context) => {
    const { checkPassword } = await import('../lib/deploy/install.ts');
    await checkPassword(context);
    context.print(await (await import('../lib/operations/status-text.ts')).nextSteps(context));
  },
});

export const destroyEnvironment = taskWithoutSettings({
  name: 'destroy-environment',
  // Like `docker compose down`, it removes what `up` created; `stop-k8s` keeps it.
  aliases: ['down'],
  description: 'remove the environment with all its data',
  lock: true,
  confirm: async (input) => (await removal()).destroyQuestion(input),
  needs: ({ provider, environment }) =>
    environment.context === '' ? [] : tools(...provider.toolsFor.destroy),
  commands: async (input) => (await removal()).destroyCommands(input),
  run: async (context) => (await removal()).destroyEnvironment(context),
});

export const unusedEnvironment = taskWithoutSettings({
  name: 'unused-environment',
  description: 'check that nothing was created of the environment',
  private: true,
  needs: ({ provider }) => tools(...provider.toolsFor.status),
  commands: () => [],
  run: async (context) => (await removal()).requireUnused(context),
});

const logs = {
  logs: {
    type: 'path',
    optional: true,
    description: 'a folder that gets the logs and the diagnostics before all is removed',
  },
} as const;

export const removeScratch = taskWithoutSettings({
  name: 'remove-scratch',
  description: 'remove the tested environment',
  private: true,
  args: logs,
  needs: ({ provider }) => tools(...provider.toolsFor.destroy),
  // Runs after a signal too; minikube is slow.
  timeoutMs: 10 * 60_000,
  commands: async (input) => (await removal()).removeCommands(input, input.args.logs),
  run: async (context) => (await removal()).removeScratch(context, context.args.logs),
});

/** Removes the environment after everything else, whatever the result. */
export const scratchEnvironment = taskWithoutSettings({
  name: 'scratch-environment',
  description: 'begin an environment that is removed in the end',
  private: true,
  args: logs,
  needs: [unusedEnvironment],
  finally: ({ args }) => [need(removeScratch, args)],
  commands: () => [],
});

export const verifyEnvironment = task({
  name: 'verify-environment',
  description: 'create an environment, install and test everything, always remove it',
  lock: true,
  args: logs,
  check: async ({ args, provider, environment }) => {
    if (args.logs !== undefined) await (await import('../lib/ground/files.ts')).checkWritable(args.logs);
    if (provider.ownsCluster) return;
    throw new UsageError({
      what: `\`verify-environment\` does not work with provider \`${environment.provider}\``,
      why: 'it would remove what somebody else has in that cluster',
      advice: `run ${taskCommand('create-environment , install-all , test')} there`,
    });
  },
  steps: ({ args, provider }) =>
    provider.ownsCluster
      ? [
          need(scratchEnvironment, args),
          ...[createEnvironment, installAll, testAll],
          ...(provider.simulatedPods ? [] : [testRoutes]),
        ]
      : [],
  commands: ({ provider }) =>
    provider.ownsCluster ? [] : ['# nothing is verified in a cluster that is not created by us'],
});

export const status = taskWithoutSettings({
  name: 'status',
  description: 'show cluster, releases, Vault and database status',
  args: {
    watch: {
      type: 'boolean',
      short: 'w',
      hidesGlobal: true,
      description: 'show it again and again, until Ctrl-C',
    },
    html: { type: 'path', optional: true, description: 'a file to write it to, as a page' },
  },
  check: ({ args, options }) => {
    const given = [
      ...(args.watch ? ['--watch'] : []),
      ...(args.html === undefined ? [] : ['--html']),
      ...(options.json ? ['--json'] : []),
    ];
    if (given.length > 1)
      throw new UsageError({ what: `${given.map((one) => `\`${one}\``).join(' and ')} exclude each other` });
  },
  commands: async (input) => (await import('../lib/operations/dry-run.ts')).statusCommands(input),
  run: async (context) => {
    const { watch, html } = context.args;
    const text = await import('../lib/operations/status-text.ts');
    if (watch) return text.watchStatus(context);
    const { openReportFile } = await import('@k8s-deployment/runner/report');
    const file = html === undefined ? undefined : await openReportFile(html, '--html', text.pageMark);
    const { readStatus } = await import('../lib/operations/status.ts');
    const result = await readStatus(context);
    if (context.options.json)
      return context.print(JSON.stringify({ ...result, faults: undefined, advice: undefined }, null, 2));
    if (file === undefined) return context.print(await text.formatStatus(result, context));
    await file.write(await text.formatPage(result, context));
    context.log(`written: ${html}`);
  },
});

const shellSetup = () => import('../lib/operations/shell-setup.ts');

export const env = taskWithoutSettings({
  name: 'env',
  description: 'print variables for your shell: eval "$(./run env)"',
  needs: connection,
  commands: async (input) => (await shellSetup()).environmentCommands(input),
  onCluster: true,
  run: async (context) => context.print((await (await shellSetup()).environmentLines(context)).join('\n')),
});

export const dashboard = task({
  name: 'dashboard',
  description: "open k9s on the environment's cluster",
  interactive: true,
  needs: (input) => [...tools('k9s'), ...connection(input)],
  commands: ({ environment: { name, context } }) => [
    shellWords(['k9s', '--kubeconfig', `.state/${name}/kubeconfig`, '--context', context]),
  ],
  onCluster: true,
  run: async ({ $, environment }) => {
    await $`k9s --kubeconfig ${environment.kubeconfig} --context ${environment.context}`;
  },
});
