import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import type { Context, Environment, EnvironmentContext, Outcome } from '../../settings/context.ts';
import { remember, writeWhole } from '../../settings/environment.ts';
import { connectApi, isApiReady } from './api.ts';
import { applyIngress, applyManifests, applyNodes } from './apply.ts';
import { runKwokctl } from './kwokctl.ts';
import { checkPorts } from './ports.ts';
import { stopStrays } from './processes.ts';
import { livingServices, type ServiceRecord, stopServices, waitForService } from './services.ts';
import {
  clusterFolder,
  type EmbeddedState,
  kubernetesPorts,
  kubernetesServices,
  requireState,
  writeState,
} from './state.ts';
import { fillTemplate } from './template.ts';

/** Milliseconds for the API server to become ready. */
const timeoutMs = 120_000;

/**
 * Creates or starts the Kubernetes part of the cluster, until the API server is ready. Recreates a cluster that a
 * killed run left incomplete.
 */
export async function ensureKubernetes(context: Context): Promise<Outcome> {
  const { environment, settings } = context;
  const state = await requireState(environment);
  if (state.phase === 'created' && state.kubernetesVersion !== settings.cluster.kubernetesVersion) {
    throw new TaskError({
      what: `the cluster runs ${state.kubernetesVersion}, the settings ask for ${settings.cluster.kubernetesVersion}`,
      why: 'a cluster keeps the version it was created with',
      advice: `set the version back, or run ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
    });
  }
  const alive = await livingKubernetes(environment);
  const ready = alive.length > 0 && (await isApiReady(environment, state.ports.kubeApiserver));
  const isUp = state.phase === 'created' && ready && alive.length === kubernetesServices.length;
  if (!isUp) {
    if (state.phase === 'creating') {
      await stopServices(environment.state, alive);
      await rm(join(environment.state, 'kwok'), { recursive: true, force: true });
    } else if (!ready) {
      // A killed run may have been stopping them.
      const unready = alive.filter(({ name }) => name === 'kube-apiserver' || name === 'etcd');
      await stopServices(environment.state, unready);
    }
    await startServers(context, state);
  }
  const restored = await restoreKubeconfig(context);
  const api = await connectApi(environment, state.ports.kubeApiserver);
  await applyNodes(context, api, state.phase);
  await applyManifests(api, await fillTemplate('system.yaml', {}));
  await applyIngress(api, context);
  await writeState(environment, { ...state, phase: 'created' });
  return isUp && !restored ? 'unchanged' : 'changed';
}

/**
 * Starts servers of a created cluster that have ended: a killed run may have been stopping them, and
 * kube-controller-manager gives up if the API server is not healthy within 10 s, as on a busy machine.
 */
export const restartEnded = async (context: Context): Promise<void> =>
  startServers(context, await requireState(context.environment));

const livingKubernetes = async ({ state }: Environment): Promise<ServiceRecord[]> =>
  (await livingServices(state)).filter(({ name }) => kubernetesServices.includes(name));

/** Starts the servers that do not run, and waits until the API server is ready. */
async function startServers(context: Context, state: EmbeddedState): Promise<void> {
  const { environment } = context;
  const { ports } = state;
  const alive = await livingKubernetes(environment);
  if (alive.length === kubernetesServices.length) return;
  const strays = await stopStrays(environment, ['kwokctl', ...kubernetesServices]);
  if (strays > 0) context.log(`stopped ${strays} processes that a killed run left behind`);
  const living = alive.map(({ name }) => name);
  const needed = Object.entries(kubernetesPorts).flatMap(([name, own]) => (living.includes(name) ? [] : own));
  await checkPorts(Object.fromEntries(needed.map((name) => [name, ports[name]])));
  await remember(environment);
  await runKwokctl(context, state, alive);
  const ready = () => isApiReady(environment, ports.kubeApiserver);
  await waitForService(context, 'kube-apiserver', ready, timeoutMs);
}

/** Restores a deleted kubeconfig, which kwokctl writes only on creation. Returns true if it did. */
export async function restoreKubeconfig(context: EnvironmentContext): Promise<boolean> {
  const { environment } = context;
  if (existsSync(environment.kubeconfig)) return false;
  const copy = join(clusterFolder(environment), 'kubeconfig.yaml');
  const text = await readFile(copy, 'utf8').catch((error: Error) => {
    throw new TaskError({
      what: `.state/${environment.name}/kubeconfig is missing and could not be restored`,
      why: error.message,
      advice: `restore it from a copy; a new environment (${taskCommand('destroy-environment')}, ${taskCommand('create-environment')}) loses all data`,
    });
  });
  await writeWhole(environment.kubeconfig, text);
  context.log(`restored .state/${environment.name}/kubeconfig`);
  return true;
}
