import { taskCommand } from '../../ground/launcher.ts';
import { kubectl } from '../../kubernetes/kubectl.ts';
import { type TaskContext, TaskError } from '../../runner/runner.ts';
import { type Environment, settingsOf, shellOf } from '../../settings/environment.ts';
import type { Settings } from '../../settings/settings.ts';
import { startArguments, waitForNodes } from './commands.ts';
import { forgetMachines } from './machines.ts';
import { faultsOf, type Profile, phaseOf, readProfile } from './nodes.ts';
import { type Minikube, runMinikube } from './shell.ts';

export const profileOf = async (environment: Environment, context: Minikube): Promise<Profile> =>
  readProfile(environment, context, (await settingsOf(environment)).cluster.driver);

/** Nothing of the cluster's data is left: it can only be recreated. */
export const isLost = (profile: Profile): boolean => profile.kind === 'incomplete' && profile.dataLost;

/**
 * Starts what was created before. A worker whose machine is gone is replaced: `minikube start` would make a machine of its name
 * that never joins, and wait for it for six minutes.
 */
export async function startCreated(
  environment: Environment,
  settings: Settings,
  profile: Profile,
  context: TaskContext,
): Promise<void> {
  refuseBroken(environment, profile);
  for (const node of profile.kind === 'incomplete' ? profile.missing : []) {
    context.log(`replacing node ${node}: its machine is gone, and the volumes on it are lost`);
    await runMinikube(context, ['node', 'delete', node, '--profile', environment.clusterName]);
    await forgetMachines((name) => name === node);
  }
  await startNodes(environment, settings, context);
}

/** Starts all nodes. Throws `TaskError` unless each of them runs in the end. */
export async function startNodes(
  environment: Environment,
  settings: Settings,
  context: TaskContext,
): Promise<void> {
  await runMinikube(context, startArguments(environment, settings));
  const { nodes } = settings.cluster;
  let profile = await profileOf(environment, context);
  while (nodeCount(profile) > 0 && nodeCount(profile) < nodes) {
    await runMinikube(context, ['node', 'add', '--worker', '--profile', environment.clusterName]);
    profile = await profileOf(environment, context);
  }
  if (phaseOf(profile) === 'running') {
    const $ = await shellOf(context);
    await $`${kubectl(environment)} ${waitForNodes}`;
    return;
  }
  throw new TaskError({
    what: '`minikube start` ended, but the cluster is not complete',
    why: faultsOf(profile).join(', '),
    advice: `see: minikube logs --profile ${environment.clusterName}; then run it again`,
  });
}

const nodeCount = (profile: Profile): number => (profile.kind === 'nodes' ? profile.nodes.length : 0);

/** Throws `TaskError` for a profile whose nodes minikube can neither start nor stop: it hangs or fails. */
export function refuseBroken(environment: Environment, profile: Profile): void {
  const { clusterName, name } = environment;
  const headless = profile.kind === 'incomplete' && profile.missing.includes(clusterName);
  if (profile.kind !== 'unreadable' && !headless) return;
  const over = `${taskCommand('destroy-environment')} removes the cluster with its data, then ${taskCommand('create-environment')} makes a new one`;
  throw new TaskError({
    what: `minikube cannot work with the cluster of environment \`${name}\``,
    why: faultsOf(profile).join(', '),
    advice: isLost(profile)
      ? `its data are lost: ${taskCommand('create-environment')} recreates the cluster`
      : profile.kind === 'unreadable'
        ? `repair ~/.minikube/profiles/${clusterName}/config.json; or: ${over}`
        : `its data are still in the Docker volume ${clusterName}, copy what you need; ${over}`,
  });
}
