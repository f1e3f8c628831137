import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import type { Context, Environment } from '../settings/context.ts';
import { remembered } from '../settings/environment.ts';
import type { ClusterPhase } from './provider.ts';
import { providerOf } from './providers.ts';

/** Throws `TaskError` if an environment with its own cluster was not created, or has lost the cluster's settings. */
export async function requireCreated(environment: Environment): Promise<void> {
  const { ownsCluster, settingsFile = '' } = providerOf(environment);
  if (!ownsCluster || existsSync(join(environment.state, settingsFile))) return;
  if ((await remembered(environment)) === undefined) throw notRunning(environment, 'absent');
  throw notRunning(environment, 'degraded', [`.state/${environment.name}/${settingsFile} is missing`]);
}

/** The error of a task that cannot use the cluster in this phase; `faults` are a degraded cluster's. */
export function notRunning(
  { name }: Environment,
  phase: Exclude<ClusterPhase, 'running'>,
  faults: readonly string[] = [],
): TaskError {
  const states = {
    absent: {
      is: 'not created',
      why: 'this task needs it, or the addresses of its servers',
      advice: `run ${taskCommand('create-environment')}, or ${taskCommand('create-k8s')} for the cluster alone`,
    },
    creating: {
      is: 'only half created',
      why: 'the run that created it did not finish',
      advice: `run ${taskCommand('create-environment')} again`,
    },
    stopped: { is: 'stopped', why: 'this task needs it', advice: `run ${taskCommand('start-k8s')}` },
    degraded: {
      is: 'degraded',
      why: faults.join(', ') || 'it does not answer',
      advice: `run ${taskCommand('start-k8s')}: it starts what is missing; ${taskCommand('status')} shows more`,
    },
  };
  const { is, why, advice } = states[phase];
  return new TaskError({ what: `the cluster of environment \`${name}\` is ${is}`, why, advice });
}

/** Logs that the cluster keeps what it was `created` with, if that is known and the setting has another value. */
export function tellKept(
  { log, settings }: Pick<Context, 'log' | 'settings'>,
  setting: 'nodes' | 'kubernetesVersion' | 'cpus' | 'memoryMB',
  created: number | string | undefined,
): void {
  if (created === undefined || settings.cluster[setting] === created) return;
  log(
    `cluster.${setting} is ${settings.cluster[setting]}, but the cluster keeps ${created} until ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} recreate it`,
  );
}
