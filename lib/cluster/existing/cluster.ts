import { TaskError } from '@k8s-deployment/runner';
import { routeAddresses, routeCommands } from '../../ingress/addresses.ts';
import { kubectl, kubectlList, kubectlText, serverVersion } from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Target } from '../../settings/context.ts';
import { remember, remembered } from '../../settings/environment.ts';
import type { Settings } from '../../settings/settings.ts';
import { toolFailure } from '../../tools/tool-answer.ts';
import type { Cluster } from '../provider.ts';
import { adaptToMetricsApi, metricsApiCheck } from './metrics-api.ts';
import { checkRanges, rangeChecks } from './ranges.ts';
import { removeCommands, removeFromCluster } from './remove.ts';
import { checkReachable, connectExisting } from './user-kubeconfig.ts';

/** Rights that an install needs, for `kubectl auth can-i`. */
const rights = [
  ['create', 'namespaces'],
  ['create', 'clusterroles.rbac.authorization.k8s.io'],
  ['create', 'customresourcedefinitions.apiextensions.k8s.io'],
  ['create', 'deployments.apps'],
  ['get', 'secrets'],
] as const;

/** The oldest minor version that the charts support. */
const oldestMinor = 29;

const notDone = (what: string): string => `an existing cluster is not ${what} by these tasks`;

function leave(log: EnvironmentContext['log'], what: string): 'unchanged' {
  log(`${notDone(what)}: nothing to do`);
  return 'unchanged';
}

export const cluster: Cluster = {
  commands: {
    create: (target) => [
      `${kubectlText(target.environment)} get --raw /readyz`,
      `${kubectlText(target.environment)} version`,
      `${kubectlText(target.environment)} get storageclass`,
      ...operatorChecks(target),
      ...rights.map(
        ([verb, resource]) =>
          `${kubectlText(target.environment)} auth can-i ${verb} ${resource} --all-namespaces`,
      ),
      metricsApiCheck(target),
      ...rangeChecks(target),
    ],
    start: () => [`# ${notDone('started')}`],
    stop: () => [`# ${notDone('stopped')}`],
    destroy: removeCommands,
    services: routeCommands,
  },

  requireAnswer: checkReachable,

  phase: async (context) => {
    const { environment } = context;
    if (!(await remembered(environment))) return 'absent';
    await connectExisting(context).catch(() => undefined);
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
    const $ = context.$({ quiet: true });
    await checkReachable(context);
    const version = await serverVersion({ $, environment });
    if (!(Number.parseInt(version?.minor ?? '', 10) >= oldestMinor)) {
      throw new TaskError({
        what: `the cluster runs Kubernetes ${version?.gitVersion ?? 'of an unknown version'}`,
        why: `the charts need v1.${oldestMinor} or newer`,
        advice: 'upgrade the cluster or use another context',
      });
    }
    await checkStorageClass(context);
    await checkOperators(context);
    for (const [verb, resource] of rights) {
      const answer = await $({
        nothrow: true,
      })`${kubectl(environment)} auth can-i ${verb} ${resource} --all-namespaces`;
      const said = answer.stdout.trim();
      if (said === 'yes') continue;
      // kubectl exits with 1 for `no`, which may be followed by a reason.
      if (!/^no\b/.test(said)) throw toolFailure(`kubectl auth can-i ${verb} ${resource}`, answer);
      throw new TaskError({
        what: `you may not ${verb} ${resource.split('.')[0]} in context \`${environment.context}\``,
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

async function checkStorageClass(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  type StorageClass = { metadata: { annotations?: { [name: string]: string } } };
  const items = await kubectlList<StorageClass>(context, 'get', 'storageclass');
  const marked = items.some(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  );
  if (marked) return;
  throw new TaskError({
    what: `context \`${environment.context}\` has no default StorageClass`,
    why: 'Vault and PostgreSQL request volumes of the default class',
    advice: 'mark one: kubectl annotate storageclass <name> storageclass.kubernetes.io/is-default-class=true',
  });
}

type Values = {
  readonly kind?: unknown;
  readonly autoscaling?: { readonly enabled?: boolean; readonly kind?: string };
};

const prometheus = {
  name: 'Prometheus Operator',
  type: 'podmonitors.monitoring.coreos.com',
  setting: 'monitoring.enabled',
};

/** The operators that these settings need, each identified by one of its types. */
function operatorsOf({ releases, monitoring }: Settings) {
  const ofReleases = Object.entries((releases ?? {}) as { readonly [release: string]: Values }).flatMap(
    ([release, { kind, autoscaling }]) => {
      const setting = `releases.${release}`;
      const database = {
        name: 'CloudNativePG',
        type: 'clusters.postgresql.cnpg.io',
        setting: `${setting}.kind`,
      };
      const scaling = { name: 'KEDA', type: 'scaledobjects.keda.sh', setting: `${setting}.autoscaling.kind` };
      return [
        ...(kind === 'cloudnative-pg' ? [database] : []),
        ...(autoscaling?.enabled && autoscaling.kind === 'keda' ? [scaling] : []),
      ];
    },
  );
  return monitoring.enabled ? [...ofReleases, prometheus] : ofReleases;
}

/** The plain commands of `checkOperators`. */
const operatorChecks = ({ environment, settings }: Target): string[] => [
  ...new Set(
    operatorsOf(settings).map(
      ({ type }) => `${kubectlText(environment)} get customresourcedefinition ${type}`,
    ),
  ),
];

/** Throws `TaskError` for a missing operator, without which helm would fail in the middle of the deployment. */
async function checkOperators(context: Context): Promise<void> {
  const { environment, settings } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  for (const { name, type, setting } of operatorsOf(settings)) {
    const found =
      await $`${kubectl(environment)} get customresourcedefinition ${type} --ignore-not-found -o name`;
    if (found.exitCode !== 0) throw toolFailure(`kubectl get customresourcedefinition ${type}`, found);
    if (found.stdout.trim() !== '') continue;
    throw new TaskError({
      what: `context \`${environment.context}\` has no ${name}, which the setting ${setting} asks for`,
      why: `the cluster has no type ${type}`,
      advice: `install ${name} in the cluster, or change the setting`,
    });
  }
}
