import type { ArgumentSpecs, Arguments, Options } from '@k8s-deployment/runner';
import { type ProviderName, providerNames } from '../cluster/providers.ts';
import { defaultEnvironment } from '../ground/launcher.ts';
import { root } from '../ground/project.ts';

/** The project's options beside the runner's own, allowed before or after the task's name. */
export const globalOptions = {
  env: {
    type: 'string',
    noun: 'name',
    short: 'e',
    env: 'ENVIRONMENT',
    default: defaultEnvironment,
    suggestions: async () => (await import('./settings.ts')).environmentNames(root),
    description: 'the environment: a folder under environments/',
  },
  provider: {
    type: 'choice',
    choices: providerNames,
    env: 'CLUSTER_PROVIDER',
    optional: true,
    description: 'the kind of cluster; default: the one of the environment, else what fits this machine',
  },
  context: {
    type: 'string',
    noun: 'name',
    env: 'CLUSTER_CONTEXT',
    optional: true,
    description: 'the kube context, for provider existing',
  },
  allowDevelopmentKeys: {
    type: 'boolean',
    description: 'allow the SOPS keys for development in production and with provider existing',
  },
  replaceAuthority: {
    type: 'boolean',
    description: "replace the cluster's certificate authority by this clone's, for provider existing",
  },
} as const satisfies ArgumentSpecs;

/** The global options as given: checked, with defaults. */
export type GivenOptions = Options & Arguments<typeof globalOptions>;

/** The global options after `resolveOptions` has chosen the provider. */
export type GlobalOptions = GivenOptions & { readonly provider: ProviderName; readonly json: boolean };
