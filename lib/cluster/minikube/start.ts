import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { kubectl } from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext } from '../../settings/context.ts';
import { startArguments, waitForNodes } from './commands.ts';
import { forgetMachines } from './docker.ts';
import { faultsOf, type Profile, phaseOf, readProfile } from './nodes.ts';
import { runMinikube } from './shell.ts';

/** True if the cluster's data is lost, so that it has to be recreated. */
export const isLost = (profile: Profile): boolean => profile.kind === 'incomplete' && profile.dataLost;

/**
 * Starts an existing cluster. Replaces workers whose machine is gone, for which `minikube start` would create one
 * that never joins and wait six minutes.
 */
export async function startCreated(context: Context, profile: Profile): Promise<void> {
  const { environment } = context;
  await makeUsable(context, profile);
  for (const node of profile.kind === 'incomplete' ? profile.missing : []) {
    context.log(`replacing node ${node}: its machine is gone, and the volumes on it are lost`);
    await runMinikube(context, ['node', 'delete', node, '--profile', environment.clusterName]);
    await forgetMachines((name) => name === node);
  }
  await startNodes(context, 'existing');
}

/** Starts all nodes. Throws `TaskError` unless all are running at the end. */
export async function startNodes(context: Context, existing?: 'existing'): Promise<void> {
  const { environment, settings } = context;
  const { nodes } = settings.cluster;
  await runMinikube(context, startArguments(context, existing), nodes);
  let profile = await readProfile(context);
  while (nodeCount(profile) > 0 && nodeCount(profile) < nodes) {
    await runMinikube(context, ['node', 'add', '--worker', '--profile', environment.clusterName]);
    profile = await readProfile(context);
  }
  if (phaseOf(profile) === 'running') {
    const { $ } = context;
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

/**
 * Lets a paused cluster go on: `minikube start` leaves the pods of its workers frozen, and machines with frozen processes
 * do not stop. Throws `TaskError` for a profile that minikube can neither start nor stop without hanging or failing.
 */
export async function makeUsable(context: EnvironmentContext, profile: Profile): Promise<void> {
  const { clusterName, name } = context.environment;
  if (profile.kind === 'nodes' && profile.nodes.some(({ APIServer }) => APIServer === 'Paused'))
    await runMinikube(context, ['unpause', '--profile', clusterName]);
  const headless = profile.kind === 'incomplete' && profile.missing.includes(clusterName);
  if (profile.kind !== 'unreadable' && !headless) return;
  const over = `${taskCommand('destroy-environment')} removes the cluster with its data, then ${taskCommand('create-environment')} creates a new one`;
  throw new TaskError({
    what: `minikube cannot use the cluster of environment \`${name}\``,
    why: faultsOf(profile).join(', '),
    advice: isLost(profile)
      ? `its data is lost: ${taskCommand('create-environment')} recreates the cluster`
      : profile.kind === 'unreadable'
        ? `repair ~/.minikube/profiles/${clusterName}/config.json; or: ${over}`
        : `its data is still in the Docker volume ${clusterName}: copy what you need; ${over}`,
  });
}
