import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Question, UsageError } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import { providerOf } from '../cluster/providers.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord, shellWords } from '../ground/shell-words.ts';
import { removeKeyring } from '../secrets/keyring.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { exportHomes, forgetRuns, removeState } from '../settings/environment.ts';
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
  // This run has made its temporary folder.
  const left = ((await ifThere(readdir(environment.state))) ?? []).filter((file) => file !== 'tmp');
  const outcome = await (await clusterOf(environment)).destroy(context);
  await removeKeyring(context);
  await removeState(environment);
  await forgetRuns(environment);
  const none =
    environment.context === ''
      ? 'neither --context nor the settings name a cluster'
      : 'nothing of this environment is in a cluster';
  const rest = left.length === 0 ? 'nothing to do' : `removed its files: ${left.join(', ')}`;
  if (outcome === 'unchanged') context.log(`${none}: ${rest}`);
  context.report(left.length > 0 || outcome === 'changed' ? 'changed' : 'unchanged');
}

/** The same as plain commands. */
export const destroyCommands = async ({ environment }: InEnvironment): Promise<readonly string[]> => [
  ...(environment.context === ''
    ? []
    : await (await clusterOf(environment)).commands.destroy({ environment })),
  exportHomes(environment, 'GNUPGHOME'),
  'gpgconf --kill all',
  `rm -rf "$GNUPGHOME" ${shellWords([...new Set([environment.plainState, environment.state])])} .tasks/${environment.name}`,
];

/** Throws `UsageError` if the environment has a cluster, running or not, since the test removes it in the end. */
export async function requireUnused(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const { phase } = await (await clusterOf(environment)).state(context);
  if (phase === 'absent') return;
  const { name } = environment;
  throw new UsageError({
    what: `environment \`${name}\` exists already: its cluster is ${phase}`,
    why: '`verify-environment` creates and tests an environment, then removes it',
    advice: `use another one, a copy of environments/${name} (--env NAME), or run ${taskCommand('destroy-environment')} first`,
  });
}

/** Folders in the state folder that explain a failure. */
const keptFolders = ['logs', 'diagnostics'];

/** Removes the environment, after copying its logs, diagnostics and status to the folder `kept`, if given. */
export async function removeScratch(context: EnvironmentContext, kept: string | undefined): Promise<void> {
  try {
    if (kept !== undefined) await keep(context, resolve(kept));
  } finally {
    await destroyEnvironment(context);
  }
}

async function keep(context: EnvironmentContext, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of keptFolders)
    await ifThere(cp(join(context.environment.state, name), join(folder, name), { recursive: true }));
  // Not for the dry run of a removal.
  const { readStatus } = await import('./status.ts');
  const { formatStatus } = await import('./status-text.ts');
  const status = await readStatus(context).then(
    (found) => formatStatus(found, context),
    // For information only: the run already has its result.
    (error: Error) => error.message,
  );
  await writeFile(join(folder, 'status.txt'), `${status}\n`);
}

/** The same as plain commands. */
export async function removeCommands(
  { environment }: InEnvironment,
  kept: string | undefined,
): Promise<readonly string[]> {
  const destroy = await destroyCommands({ environment });
  if (kept === undefined) return destroy;
  const from = keptFolders.map((name) => `.state/${environment.name}/${name}`).join(' ');
  return [`mkdir -p ${shellWord(kept)} && cp -R ${from} ${shellWord(kept)}`, ...destroy];
}
