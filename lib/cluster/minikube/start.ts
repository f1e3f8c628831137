import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { kubectl, kubectlList } from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Outcome } from '../../settings/context.ts';
import { tellKept } from '../kept.ts';
import { startArguments, waitForNodes } from './commands.ts';
import { forgetMachines } from './docker.ts';
import { faultsOf, type Profile, phaseOf, readProfile } from './nodes.ts';
import { runMinikube } from './shell.ts';

/** True if the cluster's data is lost, so that it has to be recreated. */
export const isLost = (profile: Profile): boolean => profile.kind === 'incomplete' && profile.dataLost;

/**
 * Starts an existing cluster unless it runs. Replaces workers whose machine is gone, for which `minikube start` would
 * create one that never joins and wait six minutes. Logs settings that hold for new clusters only.
 */
export async function startCreated(context: Context, profile: Profile): Promise<Outcome> {
  const { environment } = context;
  const outcome = phaseOf(profile) === 'running' ? 'unchanged' : 'changed';
  if (outcome === 'changed') {
    await makeUsable(context, profile);
    const missing = profile.kind === 'incomplete' ? profile.missing : [];
    for (const node of missing) {
      context.log(`replacing node ${node}: its machine is gone, and the volumes on it are lost`);
      await runMinikube(context, ['node', 'delete', node, '--profile', environment.clusterName]);
      await forgetMachines((name) => name === node);
    }
    await startNodes(context, missing.length);
  }
  type Node = { readonly status: { readonly nodeInfo: { readonly kubeletVersion: string } } };
  const nodes = await kubectlList<Node>(context, 'get', 'nodes');
  tellKept(context, 'nodes', nodes.length);
  for (const version of new Set(nodes.map(({ status }) => status.nodeInfo.kubeletVersion)))
    tellKept(context, 'kubernetesVersion', version);
  return outcome;
}

/**
 * Starts all nodes; of an existing cluster those that it has, and `added` workers. Throws `TaskError` unless all are
 * running at the end.
 */
export async function startNodes(context: Context, added?: number): Promise<void> {
  const { $, environment, settings } = context;
  const existing = added === undefined ? undefined : 'existing';
  await runMinikube(context, startArguments(context, existing), settings.cluster.nodes);
  for (let count = 0; count < (added ?? 0); count += 1)
    await runMinikube(context, ['node', 'add', '--worker', '--profile', environment.clusterName]);
  const profile = await readProfile(context);
  if (phaseOf(profile) === 'running') {
    await $`${kubectl(environment)} ${waitForNodes}`;
    return;
  }
  throw new TaskError({
    what: '`minikube start` ended, but the cluster is not complete',
    why: faultsOf(profile).join(', '),
    advice: `see: minikube logs --profile ${environment.clusterName}; then run it again`,
  });
}

/**
 * Lets a paused cluster go on: `minikube start` leaves the pods of its workers frozen, and machines with frozen processes
 * neither stop nor can be removed.
 */
export async function unpause(context: EnvironmentContext, profile: Profile): Promise<void> {
  if (profile.kind === 'nodes' && profile.nodes.some(({ APIServer }) => APIServer === 'Paused'))
    await runMinikube(context, ['unpause', '--profile', context.environment.clusterName]);
}

/** Unpauses. Throws `TaskError` for a profile that minikube can neither start nor stop without hanging or failing. */
export async function makeUsable(context: EnvironmentContext, profile: Profile): Promise<void> {
  const { clusterName, name } = context.environment;
  await unpause(context, profile);
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
