import { root } from '../lib/ground/project.ts';
import { task } from './environment-task.ts';
import { importGpgKeys } from './secrets.ts';
import { tools } from './tools.ts';

const changes = () => import('../lib/applications/changes.ts');
const applications = () => import('../lib/applications/application.ts');
const environments = () => import('../lib/applications/new-environment.ts');

const newName = { type: 'string', positional: true, noun: 'name', description: 'its name, such as' } as const;

export const newApp = task({
  name: 'new-app',
  description: 'add an application to the settings, with its secrets',
  lock: 'project',
  args: {
    name: { ...newName, description: `${newName.description} app3` },
    secrets: {
      type: 'choice',
      choices: ['vault', 'sops'],
      noun: 'source',
      description: 'its database login: issued by Vault, or a password in SOPS',
    },
  },
  needs: ({ args }) => (args.secrets === 'sops' ? [importGpgKeys, ...tools('sops')] : []),
  check: async (input) => (await applications()).checkName(input, input.args.name),
  commands: async (input) =>
    (await changes()).planCommands(input, await (await applications()).newApp(input, input.args)),
  run: async (context) =>
    (await changes()).carryOut(context, await (await applications()).newApp(context, context.args)),
});

export const removeApp = task({
  name: 'remove-app',
  description: 'remove an application that is not installed from the settings',
  lock: 'project',
  args: {
    app: {
      type: 'choice',
      positional: true,
      choices: async () =>
        (await import('../lib/helm/helmfile.ts')).declaredValues(root, 'app', { tier: 'apps' }),
      noun: 'app',
      description: 'an application, such as app1',
    },
  },
  needs: ({ provider }) => tools(...provider.toolsFor.status),
  confirm: ({ args }) => `remove \`${args.app}\` from the settings of all environments?`,
  commands: async (input) =>
    (await changes()).planCommands(input, await (await applications()).removeApp(input, input.args.app)),
  run: async (context) => {
    const { checkNotInstalled, removeApp } = await applications();
    await checkNotInstalled(context, context.args.app);
    return (await changes()).carryOut(context, await removeApp(context, context.args.app));
  },
});

export const newEnvironment = task({
  name: 'new-environment',
  description: 'add an environment to the settings, with secrets of its own',
  lock: 'project',
  args: {
    name: { ...newName, description: `${newName.description} staging` },
    from: {
      type: 'choice',
      choices: async () => (await import('../lib/settings/settings.ts')).environmentNames(root),
      default: 'development',
      noun: 'environment',
      description: 'the environment to copy',
    },
  },
  needs: [importGpgKeys, ...tools('sops')],
  check: async (input) => (await environments()).checkNewEnvironment(input, input.args.name),
  commands: async (input) =>
    (await changes()).planCommands(input, await (await environments()).newEnvironment(input, input.args)),
  run: async (context) =>
    (await changes()).carryOut(context, await (await environments()).newEnvironment(context, context.args)),
});
