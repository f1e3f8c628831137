import { valueAt } from '../../ground/tree.ts';
import {
  holds,
  kubectl,
  kubectlList,
  labelSelector,
  type Named,
  type WithConditions,
} from '../../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Settings } from '../../settings/context.ts';
import { parseAnswer, toolFailure } from '../../tools/tool-answer.ts';
import { versionIn, versionProblem } from '../../tools/versions.ts';

/* Software that the cluster brings, beyond its types: whether it runs where it is expected, and can be used. */

export type Problem = { readonly what: string; readonly why: string; readonly advice: string };

/** The oldest operator with everything that charts/postgresql uses. */
const oldestOperator = '1.30.0';

/** The namespace and labels of CloudNativePG's operator, as the release postgresql expects them. */
export function operatorOf(settings: Settings): readonly [namespace: string, labels: string] {
  const { namespace = 'cnpg-system', podLabels = { 'app.kubernetes.io/name': 'cloudnative-pg' } } = (valueAt(
    settings.releases,
    ['postgresql', 'cluster', 'operator'],
  ) ?? {}) as { namespace?: string; podLabels?: { [name: string]: string } };
  return [namespace, labelSelector(podLabels)];
}

/** One object; undefined if the cluster does not have it. Throws `TaskError` if kubectl fails. */
export async function objectIfThere<Object>(
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
export async function operatorProblem(context: Context): Promise<Problem | undefined> {
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
export async function issuerProblem(context: Context): Promise<Problem | undefined> {
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
