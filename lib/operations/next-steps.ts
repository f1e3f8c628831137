import { providerOf } from '../cluster/providers.ts';
import { taskLine } from '../ground/launcher.ts';
import { formatAddresses } from '../ingress/addresses.ts';
import type { Context } from '../settings/context.ts';
import { readAddresses } from './status-text.ts';

/** What a new environment can be used for: its addresses, the next tasks, and how to stop it. */
export async function nextSteps(context: Context): Promise<string> {
  const { name, provider } = context.environment;
  const tasks = [
    [taskLine('install-tier apps'), 'install the applications'],
    [taskLine('status'), 'show cluster, releases, Vault and database'],
    ...(providerOf(context.environment).ownsCluster
      ? [[taskLine('stop-k8s'), 'stop it and keep its data']]
      : []),
    [taskLine('destroy-environment'), 'remove it with its data'],
  ] as const;
  const width = Math.max(...tasks.map(([task]) => task.length));
  const blocks = [
    `environment \`${name}\` (${provider}) is ready`,
    formatAddresses(await readAddresses(context)),
    tasks.map(([task, what]) => `${task.padEnd(width)}  ${what}`).join('\n'),
  ];
  return blocks.filter((block) => block !== '').join('\n\n');
}
