import { requireCluster } from '../lib/cluster/cluster.ts';
import { readState } from '../lib/cluster/embedded/state.ts';
import { shellWords } from '../lib/ground/shell-words.ts';
import { leftOut } from '../lib/ground/variables.ts';
import { helmfileText } from '../lib/helm/helmfile.ts';
import { kubectlText } from '../lib/kubernetes/kubectl.ts';
import { checkPassword } from '../lib/operations/database-server.ts';
import { destroyEnvironment as destroyAll, destroyCommands } from '../lib/operations/destroy.ts';
import { environmentCommands, statusCommands } from '../lib/operations/plain-views.ts';
import { shellSetup, writeVaultConfiguration } from '../lib/operations/shell-setup.ts';
import { formatStatus, readStatus } from '../lib/operations/status.ts';
import { need, task } from '../lib/runner/runner.ts';
import { environmentOf, homesOf, settingsOf } from '../lib/settings/environment.ts';
import { databaseCertificate } from './certificates.ts';
import { connection, createK8s } from './cluster.ts';
import { initHelmfile, installTier } from './deploy.ts';
import { databasePasswords, importGpgKeys } from './secrets.ts';
import { tools } from './tools.ts';
import { initVault } from './vault.ts';

export const createEnvironment = task({
  name: 'create-environment',
  description: 'make everything: cluster, platform, secrets, Vault',
  group: 'environment',
  lock: true,
  needs: ({ options }) => [
    ...[createK8s, initHelmfile, importGpgKeys, need(installTier, { tier: 'core' }), initVault],
    ...(environmentOf(options).provider === 'embedded' ? [] : [databasePasswords]),
  ],
  commands: () => [],
  run: async (context) => {
    const { options, log } = context;
    const environment = environmentOf(options);
    const { name, provider } = environment;
    await checkPassword(environment, context);
    log(`environment \`${name}\` (${provider}) is ready; \`install-tier apps\` adds the applications`);
  },
});

export const destroyEnvironment = task({
  name: 'destroy-environment',
  description: 'remove all of it, keep nothing behind',
  group: 'environment',
  lock: true,
  confirm: ({ options }) => {
    const { name, provider, context } = environmentOf(options);
    return provider === 'existing'
      ? `remove our releases and our namespaces, with all their data, from context \`${context}\`?`
      : `destroy environment \`${name}\` with all its data?`;
  },
  needs: ({ options }) => {
    switch (environmentOf(options).provider) {
      case 'minikube':
        return tools('minikube', 'docker');
      case 'existing':
        return [...tools('kubectl', 'helm', 'helmfile', 'sops'), importGpgKeys, databaseCertificate];
      default:
        return [];
    }
  },
  commands: async ({ options }) =>
    destroyCommands(environmentOf(options), await helmfileText(options, 'destroy')),
  run: (context) => destroyAll(environmentOf(context.options), context),
});

export const status = task({
  name: 'status',
  description: 'cluster, nodes, releases, Vault, database and addresses at a glance',
  group: 'environment',
  commands: ({ options }) => statusCommands(environmentOf(options)),
  run: async (context) => {
    const result = await readStatus(context);
    context.print(
      context.options.json === true ? JSON.stringify(result, null, 2) : await formatStatus(result, context),
    );
  },
});

export const env = task({
  name: 'env',
  description: 'print the variables for use by hand: eval "$(./run env)"',
  group: 'environment',
  needs: ({ options }) => connection(options),
  commands: ({ options }) => environmentCommands(environmentOf(options)),
  run: async (context) => {
    const environment = environmentOf(context.options);
    const { toolEnvironment } = await import('../lib/tools/tools.ts');
    await requireCluster(environment, context);
    const embedded = environment.provider === 'embedded' ? await readState(environment) : undefined;
    const variables: { [name: string]: string } = {
      ...homesOf(environment),
      VAULT_ADDR: `http://127.0.0.1:${embedded?.ports.vault ?? 8200}`,
      VAULT_CONFIG_PATH: await writeVaultConfiguration(environment),
      PATH: await toolEnvironment(),
    };
    const lines = shellSetup(variables, leftOut);
    // Vault in a pod is reached through a forwarded port.
    if (!embedded)
      lines.push(
        `# VAULT_ADDR needs, in another shell: ${kubectlText(environment)} -n vault port-forward svc/vault 8200`,
      );
    context.print(lines.join('\n'));
  },
});

export const dashboard = task({
  name: 'dashboard',
  description: "k9s on the environment's cluster",
  group: 'environment',
  interactive: true,
  needs: ({ options }) => [...tools('k9s'), ...connection(options)],
  commands: ({ options }) => {
    const { name, context } = environmentOf(options);
    return [shellWords(['k9s', '--kubeconfig', `.state/${name}/kubeconfig`, '--context', context])];
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    await settingsOf(environment);
    const { shellOf } = await import('../lib/settings/environment.ts');
    const $ = await shellOf(context);
    await $`k9s --kubeconfig ${environment.kubeconfig} --context ${environment.context}`;
  },
});
