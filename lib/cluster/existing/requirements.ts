import { TaskError } from '@k8s-deployment/runner';
import { valueAt } from '../../ground/tree.ts';
import { isLeftOut } from '../../helm/helmfile.ts';
import {
  holds,
  kubectl,
  kubectlList,
  kubectlText,
  labelSelector,
  type Named,
  serverVersion,
  type WithConditions,
} from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Settings, Target } from '../../settings/context.ts';
import { releaseValues } from '../../settings/settings.ts';
import { parseAnswer, toolFailure } from '../../tools/tool-answer.ts';
import { versionIn, versionProblem } from '../../tools/versions.ts';

/* What the releases need in a cluster, without which helm would fail in the middle of the deployment. */

/** The oldest minor version of Kubernetes that the charts support. */
export const oldestMinor = 30;

/** The oldest CloudNativePG operator with everything that charts/postgresql uses. */
const oldestOperator = '1.30.0';

/** Types of the software that a cluster brings: its name, one of its types, and the version that the charts use. */
const types = {
  certManager: ['cert-manager', 'clusterissuers.cert-manager.io', 'v1'],
  cloudNativePg: ['CloudNativePG', 'clusters.postgresql.cnpg.io', 'v1'],
  gatewayApi: ['Gateway API', 'httproutes.gateway.networking.k8s.io', 'v1'],
  keda: ['KEDA', 'scaledobjects.keda.sh', 'v1alpha1'],
  plugin: ["CloudNativePG's Barman Cloud plugin", 'objectstores.barmancloud.cnpg.io', 'v1'],
  prometheus: ['Prometheus Operator', 'podmonitors.monitoring.coreos.com', 'v1'],
  traefik: ['Traefik with its types', 'middlewares.traefik.io', 'v1alpha1'],
  volumeSnapshot: ['snapshot controller', 'volumesnapshots.snapshot.storage.k8s.io', 'v1'],
} as const;

type Need = {
  readonly type: keyof typeof types;
  /** The setting that asks for it, and the releases that use it. */
  readonly setting: string;
  readonly releases: readonly string[];
};

type Problem = { readonly what: string; readonly why: string; readonly advice: string };

/**
 * The types that these settings need, `withRoutes` also those of the fronts' routes: create-k8s does not look for them,
 * as it may install them with the controller.
 */
function needsOf(settings: Settings, withRoutes = false): Need[] {
  const { database, ingress, monitoring } = settings;
  const applications = Object.keys(database.applications);
  const postgresql = releaseValues(settings, { name: 'postgresql', chart: 'postgresql' });
  const backup = valueAt(postgresql, ['cluster', 'backup', 'enabled']);
  const method = valueAt(postgresql, ['cluster', 'backup', 'method']) ?? 'volumeSnapshot';
  const store = ['name', 'configuration'].some(
    (key) => Object.keys(Object(valueAt(postgresql, ['cluster', 'backup', 'objectStore', key]))).length > 0,
  );
  const scaled = applications
    .map((app) => `${app}-back`)
    .filter((name) => {
      const values = releaseValues(settings, { name, chart: 'backend' });
      const [enabled, kind] = ['enabled', 'kind'].map((key) => valueAt(values, ['autoscaling', key]));
      return enabled === true && kind === 'keda';
    });
  const isCluster = valueAt(postgresql, ['kind']) === 'cloudnative-pg';
  const bySnapshot = isCluster && backup === true && method === 'volumeSnapshot';
  const byPlugin = isCluster && backup === true && method === 'plugin';
  const fronts = applications.map((app) => `${app}-front`);
  const issued = ingress.tls.enabled && ingress.tls.clusterIssuer !== '';
  const routed = withRoutes && ingress.controller === 'traefik';
  const rows: readonly (readonly [boolean, Need['type'], setting: string, releases: readonly string[]])[] = [
    [isCluster, 'cloudNativePg', 'releases.postgresql.kind', ['postgresql']],
    [bySnapshot, 'volumeSnapshot', 'releases.postgresql.cluster.backup', ['postgresql']],
    [byPlugin, 'plugin', 'releases.postgresql.cluster.backup', ['postgresql']],
    [bySnapshot && store, 'plugin', 'releases.postgresql.cluster.backup.objectStore', ['postgresql']],
    ...scaled.map((name) => [true, 'keda', `releases.${name}.autoscaling.kind`, [name]] as const),
    [monitoring.enabled, 'prometheus', 'monitoring.enabled', ['devops']],
    [issued, 'certManager', 'ingress.tls.clusterIssuer', fronts],
    [routed, 'traefik', 'ingress.controller', fronts],
    [routed && ingress.kind !== 'ingress', 'gatewayApi', 'ingress.kind', fronts],
  ];
  return rows
    .filter(([isNeeded, , , releases]) => isNeeded && releases.some((name) => !isLeftOut(settings, name)))
    .map(([, type, setting, releases]) => ({ type, setting, releases }));
}

/** The plain commands of `checkRequirements`. */
export function requirementChecks({ environment, settings }: Target): string[] {
  const needs = needsOf(settings);
  const [namespace, labels] = operatorOf(settings);
  const words = [
    'version',
    'get storageclass',
    ...needs.map(({ type }) => `get customresourcedefinition ${types[type][1]}`),
    ...needs.flatMap(({ type }) => {
      if (type === 'cloudNativePg') return [`-n ${namespace} get deployments -l ${labels}`];
      return type === 'certManager' ? [`get clusterissuer ${settings.ingress.tls.clusterIssuer}`] : [];
    }),
  ];
  return [...new Set(words)].map((line) => `${kubectlText(environment)} ${line}`);
}

/**
 * Throws `TaskError` for a Kubernetes that is too old, and for whatever these releases (by default all) need and the
 * cluster does not have.
 */
export async function checkRequirements(context: Context, releases?: readonly string[]): Promise<void> {
  const { settings } = context;
  const uses = (names: readonly string[]) => names.some((name) => releases?.includes(name) ?? true);
  const problems = [await versionProblemOf(context)];
  if (uses(['vault', 'postgresql'])) problems.push(await storageProblem(context));
  for (const need of needsOf(settings, releases !== undefined)) {
    if (!uses(need.releases)) continue;
    const missing = await typeProblem(context, need);
    if (missing !== undefined) problems.push(missing);
    else if (need.type === 'cloudNativePg') problems.push(await operatorProblem(context));
    else if (need.type === 'certManager') problems.push(await issuerProblem(context));
  }
  const found = problems.filter((problem) => problem !== undefined);
  const [first, ...more] = found;
  if (first === undefined) return;
  if (more.length === 0) throw new TaskError(first);
  throw new TaskError({
    what: `context \`${context.environment.context}\` lacks ${found.length} things that the settings ask for`,
    why: found.map(({ what, why }) => `${what}: ${why}`).join('\n'),
    advice: found.map(({ advice }) => advice).join('\n'),
  });
}

async function versionProblemOf(context: EnvironmentContext): Promise<Problem | undefined> {
  const version = await serverVersion(context);
  if (Number.parseInt(version?.minor ?? '', 10) >= oldestMinor) return undefined;
  return {
    what: `the cluster runs Kubernetes ${version?.gitVersion ?? 'of an unknown version'}`,
    why: `the charts need v1.${oldestMinor} or newer`,
    advice: 'upgrade the cluster or use another context',
  };
}

async function storageProblem(context: Context): Promise<Problem | undefined> {
  const { environment, settings } = context;
  type StorageClass = { metadata: { name: string; annotations?: { [name: string]: string } } };
  const items = await kubectlList<StorageClass>(context, 'get', 'storageclass');
  const wanted = settings.cluster.storageClass;
  if (wanted !== '') {
    if (items.some(({ metadata }) => metadata.name === wanted)) return undefined;
    return {
      what: `context \`${environment.context}\` has no StorageClass ${wanted}, which the setting cluster.storageClass names`,
      why: `it has ${items.map(({ metadata }) => metadata.name).join(', ') || 'none'}`,
      advice: 'correct the setting, or create the class',
    };
  }
  const marked = items.some(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  );
  if (marked) return undefined;
  return {
    what: `context \`${environment.context}\` has no default StorageClass`,
    why: 'Vault and PostgreSQL request volumes of the default class',
    advice:
      'name one in cluster.storageClass, or mark one: kubectl annotate storageclass <name> storageclass.kubernetes.io/is-default-class=true',
  };
}

async function typeProblem(context: Context, need: Need): Promise<Problem | undefined> {
  const [name, type, version] = types[need.type];
  type Definition = { spec: { versions: readonly { name: string; served: boolean }[] } };
  const found = await objectIfThere<Definition>(context, 'customresourcedefinition', type);
  const served = found?.spec.versions.filter((one) => one.served).map((one) => one.name);
  if (served?.includes(version)) return undefined;
  return {
    what: `context \`${context.environment.context}\` has no ${name}${found ? ` with ${version}` : ''}, which the setting ${need.setting} asks for`,
    why: found ? `its type ${type} has only ${served?.join(', ')}` : `the cluster has no type ${type}`,
    advice: `${found ? `upgrade ${name}` : `install ${name} in the cluster`}, or change the setting`,
  };
}

/** The namespace and labels of CloudNativePG's operator, as the release postgresql expects them. */
function operatorOf(settings: Settings): readonly [namespace: string, labels: string] {
  const { namespace = 'cnpg-system', podLabels = { 'app.kubernetes.io/name': 'cloudnative-pg' } } = (valueAt(
    settings.releases,
    ['postgresql', 'cluster', 'operator'],
  ) ?? {}) as { namespace?: string; podLabels?: { [name: string]: string } };
  return [namespace, labelSelector(podLabels)];
}

/** One object; undefined if the cluster does not have it. Throws `TaskError` if kubectl fails. */
async function objectIfThere<Object>(
  context: EnvironmentContext,
  kind: string,
  name: string,
): Promise<Object | undefined> {
  const $ = context.$({ quiet: true, nothrow: true });
  const found = await $`${kubectl(context.environment)} get ${kind} ${name} --ignore-not-found -o json`;
  const command = `kubectl get ${kind} ${name}`;
  if (found.exitCode !== 0) throw toolFailure(command, found);
  return found.stdout.trim() === '' ? undefined : parseAnswer<Object>(command, found);
}

/** What is wrong with CloudNativePG's operator. */
async function operatorProblem(context: Context): Promise<Problem | undefined> {
  const [namespace, labels] = operatorOf(context.settings);
  type Deployment = Named & { spec: { template: { spec: { containers: { image: string }[] } } } };
  const words = ['-n', namespace, 'get', 'deployments', '-l', labels];
  const [found] = await kubectlList<Deployment>(context, ...words);
  const advice = `install CloudNativePG ${oldestOperator} or newer in ${namespace}, or set releases.postgresql.cluster.operator`;
  if (found === undefined)
    return {
      what: `CloudNativePG's operator is not in the namespace ${namespace}`,
      why: `no Deployment there has the labels ${labels}, and network policies let only these pods reach the servers`,
      advice,
    };
  const [image = ''] = found.spec.template.spec.containers.map((container) => container.image);
  // The name's last part, without a registry's port and the digest.
  const tag = image.replace(/@.*/, '').replace(/.*\//, '');
  const version = versionIn(found.metadata.labels?.['app.kubernetes.io/version'] ?? tag);
  if (version === undefined)
    context.log(
      `warning: cannot tell the version of CloudNativePG from ${image}; ${oldestOperator} or newer is needed`,
    );
  const why = version && versionProblem(version, `>=${oldestOperator}`);
  return why
    ? { what: `CloudNativePG ${version} ${why}`, why: `it runs in ${namespace} as ${image}`, advice }
    : undefined;
}

/** What is wrong with the ClusterIssuer of the routes' certificates. */
async function issuerProblem(context: Context): Promise<Problem | undefined> {
  const { clusterIssuer: name } = context.settings.ingress.tls;
  const issuer = await objectIfThere<WithConditions>(context, 'clusterissuer', name);
  const conditions = issuer?.status?.conditions;
  if (issuer !== undefined && holds(conditions, 'Ready')) return undefined;
  const why = conditions?.find(({ type }) => type === 'Ready')?.message ?? 'it has no condition Ready';
  return {
    what: `the ClusterIssuer ${name}, which the setting ingress.tls.clusterIssuer names, ${issuer ? 'is not ready' : 'does not exist'}`,
    why: issuer ? why : 'cert-manager would issue no certificate for the routes',
    advice: `see: kubectl describe clusterissuer ${name}`,
  };
}
