import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { destroyCommands, destroyEnvironment } from './destroy.ts';
import { readStatus } from './status.ts';
import { formatStatus } from './status-text.ts';

/** Throws `UsageError` if the environment has a cluster, running or not, since the test removes it in the end. */
export async function requireUnused(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const phase = await (await clusterOf(environment)).phase(context);
  if (phase === 'absent') return;
  const { name } = environment;
  throw new UsageError({
    what: `environment \`${name}\` exists already: its cluster is ${phase}`,
    why: '`verify-environment` creates and tests an environment, then removes it',
    advice: `use another one, a copy of environments/${name} (--env NAME), or run ${taskCommand('destroy-environment')} first`,
  });
}

/** Folders in the state folder that explain a failure. */
const folders = ['logs', 'diagnostics'];

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
  for (const name of folders)
    await ifThere(cp(join(context.environment.state, name), join(folder, name), { recursive: true }));
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
  const from = folders.map((name) => `.state/${environment.name}/${name}`).join(' ');
  return [`mkdir -p ${shellWord(kept)} && cp -R ${from} ${shellWord(kept)}`, ...destroy];
}
