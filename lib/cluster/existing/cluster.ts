import { TaskError } from '@k8s-deployment/runner';
import { checkNamespaces, existingNamespaces, isOurs } from '../../helm/namespaces.ts';
import { routeAddresses, routeCommands } from '../../ingress/routes.ts';
import { kubectl, kubectlText } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { remember, remembered } from '../../settings/environment.ts';
import { toolFailure } from '../../tools/tool-answer.ts';
import type { Cluster } from '../provider.ts';
import { adaptToMetricsApi, metricsApiCheck } from './metrics-api.ts';
import { checkRanges, rangeChecks } from './ranges.ts';
import { removeCommands, removeFromCluster } from './remove.ts';
import { checkRequirements, requirementChecks } from './requirements.ts';
import { checkReachable, connectExisting } from './user-kubeconfig.ts';

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

  phase: async (context) => {
    const { environment } = context;
    if ((await remembered(environment)) !== undefined) await connectExisting(context).catch(() => undefined);
    else {
      // Only a cluster that answers can tell that it does not have the environment, whichever machine created it.
      await connectExisting(context);
      await checkReachable(context);
      const namespaces = await existingNamespaces(context);
      if (!namespaces.some((one) => isOurs(environment, one))) return 'absent';
    }
    const $ = context.$({ quiet: true, nothrow: true, timeoutMs: 15_000 });
    const output = await $`${kubectl(environment)} get --raw /readyz`;
    return output.exitCode === 0 ? 'running' : 'degraded';
  },

  faults: async (context) => {
    const reached = await checkReachable(context).catch((error: unknown) => error);
    return reached instanceof TaskError ? [reached.why ?? reached.what] : [];
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
