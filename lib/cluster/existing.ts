import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type Environment,
  processEnvironment,
  remember,
  remembered,
  shellOf,
  writeWhole,
} from '../environment.ts';
import { routeAddresses, routeCommands } from '../ingress/addresses.ts';
import { kubectl, kubectlJson, kubectlText } from '../kubectl.ts';
import { type TaskContext, TaskError, UsageError } from '../runner/runner.ts';
import { shellWord } from '../shell-words.ts';
import { checkOperators, operatorCommands } from './operators.ts';
import type { ClusterProvider } from './provider.ts';

/** What an install needs to do; each is asked with `kubectl auth can-i`. */
const rights = [
  ['create', 'namespaces'],
  ['create', 'clusterroles.rbac.authorization.k8s.io'],
  ['create', 'customresourcedefinitions.apiextensions.k8s.io'],
  ['create', 'deployments.apps'],
  ['get', 'secrets'],
] as const;

/** The oldest version that the charts are made for. */
const oldestMinor = 29;

/**
 * Writes the context alone, with its credentials, to the environment's own kubeconfig: from then on nothing depends on
 * which context is current in the user's, and nothing of ours is ever written there.
 */
export async function connectExisting(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<void> {
  const $ = await shellOf(context);
  const KUBECONFIG = process.env.KUBECONFIG ?? join(homedir(), '.kube', 'config');
  const env = { ...(await processEnvironment(environment)), KUBECONFIG };
  const view = $({ quiet: true, nothrow: true, env });
  const output = await view`kubectl config view --minify --flatten --raw --context ${environment.context}`;
  if (output.exitCode !== 0) {
    const known = await view`kubectl config get-contexts -o name`;
    throw new UsageError({
      what: `unknown kube context \`${environment.context}\``,
      why: `your kubeconfig has: ${known.stdout.trim().split('\n').join(', ') || 'none'}`,
      advice: 'name one with --context, CLUSTER_CONTEXT or the setting cluster.context',
    });
  }
  await writeWhole(environment.kubeconfig, output.stdout);
}

/** The same as a plain command. */
export const connectCommand = ({ name, context }: Environment): string =>
  `(umask 077; mkdir -p .state/${name}; kubectl config view --minify --flatten --raw --context ${shellWord(context)} > .state/${name}/kubeconfig)`;

/** Throws `TaskError` with kubectl's reason when the API server does not answer within 15 s. */
export async function checkReachable(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<void> {
  const $ = (await shellOf(context))({ quiet: true, nothrow: true });
  const ready = await $`${kubectl(environment)} get --raw /readyz --request-timeout 15s`;
  if (ready.exitCode !== 0) throw unreachable(environment, ready.stderr);
}

/** A cluster that is there already: used, never created, started, stopped or destroyed by us. */
export const existing: ClusterProvider = {
  name: 'existing',
  commands: {
    create: (environment, settings) => [
      `${kubectlText(environment)} get --raw /readyz`,
      `${kubectlText(environment)} version`,
      `${kubectlText(environment)} get storageclass`,
      ...operatorCommands(environment, settings),
      ...rights.map(
        ([verb, resource]) => `${kubectlText(environment)} auth can-i ${verb} ${resource} --all-namespaces`,
      ),
    ],
    start: () => ['# an existing cluster is not started by us'],
    stop: () => ['# an existing cluster is not stopped by us'],
    destroy: () => ['# an existing cluster is not destroyed by us'],
    services: routeCommands,
  },

  phase: async (environment, context) => {
    if (!(await remembered(environment.name))) return 'absent';
    const $ = (await shellOf(context))({ quiet: true, nothrow: true, timeoutMs: 15_000 });
    const output = await $`${kubectl(environment)} get --raw /readyz`;
    return output.exitCode === 0 ? 'running' : 'degraded';
  },

  create: async (environment, settings, context) => {
    await connectExisting(environment, context);
    const $ = (await shellOf(context))({ quiet: true });
    await checkReachable(environment, context);
    const { serverVersion } = await kubectlJson<{ serverVersion: { gitVersion: string; minor: string } }>(
      $,
      environment,
      'version',
    );
    if (Number.parseInt(serverVersion.minor, 10) < oldestMinor) {
      throw new TaskError({
        what: `the cluster runs Kubernetes ${serverVersion.gitVersion}`,
        why: `the charts need v1.${oldestMinor} or newer`,
        advice: 'upgrade the cluster or use another context',
      });
    }
    await checkStorageClass(environment, context);
    await checkOperators(environment, settings, context);
    for (const [verb, resource] of rights) {
      const answer = await $({
        nothrow: true,
      })`${kubectl(environment)} auth can-i ${verb} ${resource} --all-namespaces`;
      if (answer.stdout.trim() === 'yes') continue;
      throw new TaskError({
        what: `you may not ${verb} ${resource.split('.')[0]} in context \`${environment.context}\``,
        why: 'the releases need this right',
        advice: 'ask for it, or use another user or context',
      });
    }
    await remember(environment);
    return 'unchanged';
  },

  start: async (_environment, _settings, context) => {
    context.log('an existing cluster is not started by us: nothing to do');
    return 'unchanged';
  },
  stop: async (_environment, context) => {
    context.log('an existing cluster is not stopped by us: nothing to do');
    return 'unchanged';
  },
  destroy: async (environment) => {
    await rm(environment.kubeconfig, { force: true });
    return 'unchanged';
  },

  addresses: routeAddresses,
  direct: async () => undefined,
};

async function checkStorageClass(environment: Environment, context: TaskContext): Promise<void> {
  type List = { items: { metadata: { annotations?: { [name: string]: string } } }[] };
  const $ = await shellOf(context);
  const { items } = await kubectlJson<List>($, environment, 'get', 'storageclass');
  const marked = items.some(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  );
  if (marked) return;
  throw new TaskError({
    what: `context \`${environment.context}\` has no default StorageClass`,
    why: 'Vault and PostgreSQL ask for volumes without naming a class',
    advice: 'mark one: kubectl annotate storageclass <name> storageclass.kubernetes.io/is-default-class=true',
  });
}

const unreachable = (environment: Environment, stderr: string): TaskError =>
  new TaskError({
    what: `the cluster of context \`${environment.context}\` does not answer`,
    why: stderr.trim().split('\n').at(-1) ?? '',
    advice: `try: kubectl --context ${environment.context} get nodes`,
  });
