import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { declaredReleases, isLeftOut } from '../../helm/helmfile.ts';
import { checkNamespaces, existingNamespaces, isOurs } from '../../helm/namespaces.ts';
import { routeAddresses, routeCommands } from '../../ingress/routes.ts';
import { holds, kubectl, kubectlList, kubectlText, type WithConditions } from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, InEnvironment, Target } from '../../settings/context.ts';
import { remember, remembered, writeWhole } from '../../settings/environment.ts';
import { releaseValues } from '../../settings/settings.ts';
import { toolFailure } from '../../tools/tool-answer.ts';
import type { Cluster } from '../provider.ts';
import { recordFile } from './existing.ts';
import { checkRanges, rangeChecks } from './ranges.ts';
import { removeCommands, removeFromCluster } from './remove.ts';
import { checkRequirements, requirementChecks } from './requirements.ts';
import { checkReachable, connectExisting, failureOf } from './user-kubeconfig.ts';

/** Rights that an install needs, for `kubectl auth can-i`. */
const rights = [
  'create namespaces',
  'create clusterroles.rbac.authorization.k8s.io',
  'create customresourcedefinitions.apiextensions.k8s.io',
  'create deployments.apps',
  'get secrets',
];

const notDone = (what: string): string => `an existing cluster is not ${what} by these tasks`;

function leave(log: EnvironmentContext['log'], what: string): 'unchanged' {
  log(`${notDone(what)}: nothing to do`);
  return 'unchanged';
}

export const cluster: Cluster = {
  commands: {
    create: (target) => [
      `${kubectlText(target.environment)} get --raw /readyz`,
      `${kubectlText(target.environment)} get namespaces`,
      ...requirementChecks(target),
      ...rights.map((right) => `${kubectlText(target.environment)} auth can-i ${right} --all-namespaces`),
      metricsApiCheck(target),
      ...rangeChecks(target),
    ],
    start: () => [`# ${notDone('started')}`],
    stop: () => [`# ${notDone('stopped')}`],
    destroy: removeCommands,
    services: routeCommands,
  },

  requireAnswer: async (context, purpose) => {
    await checkReachable(context);
    if (purpose === 'change') await checkNamespaces(context);
  },
  checkRequirements,

  state: async (context) => {
    const { environment } = context;
    if ((await remembered(environment)) === undefined) {
      // Only a cluster that answers can tell that it does not have the environment, whichever machine created it.
      await connectExisting(context);
      await checkReachable(context);
      const namespaces = await existingNamespaces(context);
      return { phase: namespaces.some((one) => isOurs(environment, one)) ? 'running' : 'absent' };
    }
    await connectExisting(context).catch(() => undefined);
    const failure = await checkReachable(context).catch(failureOf);
    if (failure === undefined) return { phase: 'running' };
    return { phase: 'degraded', faults: [failure.why ?? failure.what], advice: failure.advice };
  },

  create: async (context) => {
    const { environment } = context;
    await connectExisting(context);
    const $ = context.$({ quiet: true, nothrow: true });
    await cluster.requireAnswer?.(context, 'change');
    await checkRequirements(context);
    for (const right of rights) {
      const answer = await $`${kubectl(environment)} auth can-i ${right.split(' ')} --all-namespaces`;
      const said = answer.stdout.trim();
      if (said === 'yes') continue;
      // kubectl exits with 1 for `no`, which may be followed by a reason.
      if (!/^no\b/.test(said)) throw toolFailure(`kubectl auth can-i ${right}`, answer);
      throw new TaskError({
        what: `you may not ${right.split('.')[0]} in context \`${environment.context}\``,
        why: 'the releases need this right',
        advice: 'ask for it, or use another user or context',
      });
    }
    const hasOwnMetrics = await adaptToMetricsApi(context);
    await checkRanges(context, !hasOwnMetrics);
    await remember(environment);
    return 'unchanged';
  },

  start: async ({ log }) => leave(log, 'started'),
  stop: async ({ log }) => leave(log, 'stopped'),
  destroy: removeFromCluster,

  addresses: routeAddresses,
};

const metricsApi = 'v1beta1.metrics.k8s.io';

/** The plain command of `adaptToMetricsApi`. */
const metricsApiCheck = ({ environment }: InEnvironment): string =>
  `${kubectlText(environment)} get apiservices ${metricsApi} --ignore-not-found`;

/**
 * Leaves the release metrics-server out if the cluster has a metrics API of its own, as GKE, AKS and k3s do: records
 * that as a settings file of the environment. True if metrics-server is left out. Throws `TaskError` if autoscalers
 * would get no metrics.
 */
async function adaptToMetricsApi(context: Context): Promise<boolean> {
  const { environment, settings } = context;
  const record = join(environment.state, recordFile);
  const services = await kubectlList<WithConditions>(context, 'get', 'apiservices');
  const found = services.find(({ metadata }) => metadata.name === metricsApi);
  const { annotations = {} } = found?.metadata ?? {};
  const isOurs =
    annotations['meta.helm.sh/release-name'] === 'metrics-server' &&
    annotations['meta.helm.sh/release-namespace'] === 'core';
  if (found === undefined || isOurs) {
    const wasRecorded = (await textIfThere(record)) !== undefined;
    await rm(record, { force: true });
    if (wasRecorded || !isLeftOut(settings, 'metrics-server')) return false;
    if (found === undefined) await checkAutoscalers(context);
    return true;
  }
  if (!holds(found.status?.conditions, 'Available'))
    throw new TaskError({
      what: `the cluster has a metrics API (${metricsApi}) that does not answer`,
      why:
        found.status?.conditions?.find(({ type }) => type === 'Available')?.message ??
        'its APIService is not Available',
      advice: `repair it, or delete it if nothing serves it any more (kubectl delete apiservice ${metricsApi}), and run again`,
    });
  context.log('the cluster has a metrics API of its own: the release metrics-server is left out');
  await writeWhole(
    record,
    '# What create-k8s found in the cluster.\nreleases: { metrics-server: { installed: false } }\n',
  );
  return true;
}

async function checkAutoscalers({ environment, settings }: Target): Promise<void> {
  type Values = { readonly autoscaling?: { readonly enabled?: boolean; readonly kind?: string } };
  const scaled = (await declaredReleases(environment.root)).find((release) => {
    const { autoscaling }: Values = releaseValues(settings, release);
    return autoscaling?.enabled && autoscaling.kind !== 'keda';
  });
  if (scaled === undefined) return;
  throw new TaskError({
    what: 'releases.metrics-server.installed is false, and the cluster has no metrics API',
    why: `the autoscaler of ${scaled.name} needs ${metricsApi}`,
    advice: 'remove that setting, or install another metrics API in the cluster',
  });
}
