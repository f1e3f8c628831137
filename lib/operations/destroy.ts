import type { Question } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import { providerOf } from '../cluster/providers.ts';
import { removeKeyring } from '../secrets/keyring.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { exportHomes, forgetRuns, remembered, removeState } from '../settings/environment.ts';
import { environmentNames, loadSettings } from '../settings/settings.ts';

/**
 * The question of `destroy-environment`, if there may be anything to destroy. In production its name has to be typed;
 * on an existing cluster also if the settings, missing or damaged, do not say what it is.
 */
export async function destroyQuestion({ environment }: InEnvironment): Promise<Question | undefined> {
  const { name, context } = environment;
  if (context === '') return undefined;
  const { ownsCluster } = providerOf(environment);
  const question = ownsCluster
    ? `destroy environment \`${name}\` with all its data?`
    : `remove the releases of environment \`${name}\` and its namespaces, with all their data, from context \`${context}\`?`;
  const declared = (await environmentNames(environment.root)).includes(name);
  const settings = declared ? await loadSettings(environment).catch(() => undefined) : undefined;
  const production = settings?.production ?? !ownsCluster;
  return production ? { question, word: name } : question;
}

/** Removes the whole environment: cluster (or what was installed into it), keyring and state folder. */
export async function destroyEnvironment(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  // A damaged record is a trace of the environment too.
  const known = await remembered(environment).catch(() => true);
  const outcome = await (await clusterOf(environment)).destroy(context);
  await removeKeyring(context);
  await removeState(environment);
  await forgetRuns(environment);
  if (!known && outcome === 'unchanged')
    context.log(
      environment.context === ''
        ? 'it was not created here, and neither --context nor its settings name a cluster: nothing to do'
        : 'this environment does not exist: nothing to do',
    );
  context.report(known || outcome === 'changed' ? 'changed' : 'unchanged');
}

/** The same as plain commands. */
export const destroyCommands = async ({ environment }: InEnvironment): Promise<readonly string[]> => [
  ...(environment.context === ''
    ? []
    : await (await clusterOf(environment)).commands.destroy({ environment })),
  exportHomes(environment, 'GNUPGHOME'),
  'gpgconf --kill all',
  `rm -rf "$GNUPGHOME" .state/${environment.name} .tasks/${environment.name}`,
];
