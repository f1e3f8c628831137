import { didYouMean, type Options, UsageError } from '@k8s-deployment/runner';
import { type ProviderName, providerNames, providerOf } from '../cluster/providers.ts';
import { adviseOn, defaultEnvironment, taskCommand } from '../ground/launcher.ts';
import { remembered } from './environment.ts';
import type { GivenOptions } from './global-options.ts';
import {
  checkEnvironmentName,
  environmentNames,
  foldersIn,
  loadSettings,
  readText,
  settingsFiles,
} from './settings.ts';

/**
 * Tasks that need no cluster, so on an existing one no context. Where nothing was created, nothing has to be destroyed.
 */
const withoutCluster = [
  ...['render', 'update', 'install-tools', 'verify-dependencies', 'build-toolset'],
  ...['build-backend-verification', 'build-push-backend-verification'],
  ...['import-gpg-keys', 'make-secrets', 'edit-secrets', 'check-secrets', 'rotate-keys'],
  ...['new-app', 'remove-app', 'new-environment'],
];

/** Tasks that work even if the environment's folder under environments/ is gone. */
const withoutFolder = ['destroy-environment', 'destroy-k8s', 'stop-k8s', 'status'];

/**
 * Checks the environment's name and chooses its provider and, for an existing cluster, its context. A created
 * environment keeps its choice. `tasks` are the requested ones. Throws `UsageError`.
 */
export async function resolveOptions(
  given: Options,
  tasks: readonly { readonly name: string }[],
  root: string,
  user = process.getuid?.(),
): Promise<Options> {
  const options = given as GivenOptions;
  const { env: environment, provider: asked } = options;
  adviseOn(environment);
  const needsFolder = tasks.some(({ name }) => !withoutFolder.includes(name));
  await checkEnvironment(environment, needsFolder ? 'folder' : 'made', root);
  let isDamaged = false;
  const memory = await remembered({ name: environment, root }).catch((error: unknown) => {
    // The user's choice replaces a damaged record.
    isDamaged = asked !== undefined;
    if (isDamaged) return undefined;
    throw error;
  });
  // The tasks that remove the environment work whatever the settings have become.
  const only = memory && !needsFolder ? undefined : await onlyProvider(environment, root);
  const other = memory && [asked, only].find((wanted) => wanted && wanted !== memory.provider);
  if (other) {
    throw new UsageError({
      what: `environment \`${environment}\` was made with provider \`${memory.provider}\`, not \`${other}\``,
      why: 'an environment stays with the provider it was made with',
      advice: `run ${taskCommand('destroy-environment')} first, or ${other === asked ? 'leave --provider and CLUSTER_PROVIDER out' : 'take the setting cluster.provider back'}`,
    });
  }
  if (only && asked && only !== asked) {
    throw new UsageError({
      what: `environment \`${environment}\` is for provider \`${only}\`, not \`${asked}\``,
      why: 'its setting cluster.provider says so',
      advice: 'leave --provider and CLUSTER_PROVIDER out, or use another environment',
    });
  }
  const provider = memory?.provider ?? asked ?? only ?? (await automaticProvider(user));
  const { contextOf } = providerOf({ provider });
  if (!memory)
    adviseOn(environment, {
      provider: asked === only ? undefined : asked,
      context: contextOf ? undefined : options.context,
    });
  if (contextOf) return { ...given, provider, context: undefined };
  const known = memory?.context;
  if (known !== undefined && options.context !== undefined && known !== options.context) {
    throw new UsageError({
      what: `environment \`${environment}\` was made in context \`${known}\`, not \`${options.context}\``,
      why: 'an environment stays with the cluster it was made in',
      advice: `run ${taskCommand('destroy-environment')} first, or leave --context out`,
    });
  }
  const context =
    known ?? options.context ?? (await loadSettings({ name: environment, provider, root })).cluster.context;
  const without = memory || isDamaged ? withoutCluster : [...withoutCluster, 'destroy-environment'];
  if (context !== '' || tasks.every(({ name }) => without.includes(name)))
    return { ...given, provider, context };
  throw new UsageError({
    what: `provider \`${provider}\` needs a kube context`,
    why: 'nothing is ever run against "the current context"',
    advice: 'name it with --context, CLUSTER_CONTEXT or the setting cluster.context',
  });
}

/** The provider that the environment's settings require, if any. */
async function onlyProvider(environment: string, root: string): Promise<ProviderName | undefined> {
  const files = await settingsFiles(environment, 'existing', root);
  const texts = await Promise.all(files.map((file) => readText(root, file)));
  // Most settings require none, and parsing YAML takes longer than the rest.
  if (!texts.some((text) => /\bprovider["']?\s*:\s*(?!["']{2})\S/.test(text))) return undefined;
  return (
    (await loadSettings({ name: environment, provider: 'existing', root })).cluster.provider || undefined
  );
}

/** The first provider that works on this machine for this user. */
async function automaticProvider(user: number | undefined): Promise<ProviderName> {
  for (const provider of providerNames) {
    if (await providerOf({ provider }).fits?.(user)) return provider;
  }
  throw new Error('no provider fits this machine');
}

/**
 * Throws `UsageError` for an invalid name or an unknown environment. With `made`, an environment that was created is
 * accepted: removing it needs no folder under environments/.
 */
export async function checkEnvironment(name: string, enough: 'folder' | 'made', root: string): Promise<void> {
  const made = (await foldersIn(root, '.state')).includes(name);
  if (made && enough === 'made') return;
  const wayOut = `${taskCommand('destroy-environment')} removes it`;
  const names = await environmentNames(root);
  const rename = names.includes(name)
    ? 'rename its folder under environments/'
    : `use one of ${names.join(', ')}`;
  checkEnvironmentName(name, made ? wayOut : rename);
  if (names.includes(name)) return;
  throw new UsageError({
    what: `unknown environment \`${name}\``,
    why: `environments/ has ${names.map((known) => `\`${known}\``).join(', ')}`,
    advice: made
      ? `restore its folder; or else ${wayOut}`
      : didYouMean(name, names, `create it: ${taskCommand(`new-environment ${name}`, defaultEnvironment)}`),
  });
}
