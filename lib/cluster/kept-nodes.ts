import { taskCommand } from '../ground/launcher.ts';
import type { Context } from '../settings/context.ts';

/** Logs that the cluster keeps the nodes with which it was created if the settings have another number. */
export function tellKeptNodes({ log, settings }: Pick<Context, 'log' | 'settings'>, created: number): void {
  const { nodes } = settings.cluster;
  if (nodes === created) return;
  log(
    `the settings ask for ${nodes} ${nodes === 1 ? 'node' : 'nodes'}, but the cluster keeps its ${created} until ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} recreate it`,
  );
}
