import { taskCommand } from '../ground/launcher.ts';
import type { Context } from '../settings/context.ts';

/** Logs that the cluster keeps what it was `created` with if the setting has another value. */
export function tellKept(
  { log, settings }: Pick<Context, 'log' | 'settings'>,
  setting: 'nodes' | 'kubernetesVersion',
  created: number | string,
): void {
  if (settings.cluster[setting] === created) return;
  log(
    `cluster.${setting} is ${settings.cluster[setting]}, but the cluster keeps ${created} until ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} recreate it`,
  );
}
