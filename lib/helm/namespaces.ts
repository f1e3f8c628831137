import { TaskError } from '@k8s-deployment/runner';
import { throwAdvised } from '../kubernetes/advice.ts';
import {
  applyObjects,
  kubectl,
  kubectlList,
  kubectlText,
  type WithConditions as Namespace,
} from '../kubernetes/kubectl.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Environment, ShellContext } from '../settings/context.ts';
import { declaredValues, type Release } from './helmfile.ts';

/** Label with the name of the environment that uses a namespace. */
export const ownerLabel = 'k8s-deployment/environment';

/** Annotation of a namespace that existed, empty, before the environment used it. */
export const adoptedAnnotation = 'k8s-deployment/adopted';

/** The declared namespaces that exist in the cluster. */
export async function existingNamespaces(context: ShellContext): Promise<readonly Namespace[]> {
  const names = await declaredValues(context.environment.root, 'namespace');
  const found = await kubectlList<Namespace>(context, 'get', 'namespaces');
  return found.filter(({ metadata }) => names.includes(metadata.name));
}

/** True if the tasks use a namespace for this environment: they labelled it, or plain commands created it. */
export const isOurs = ({ name }: Pick<Environment, 'name'>, { metadata }: Namespace): boolean => {
  const { labels = {}, annotations = {} } = metadata;
  if (ownerLabel in labels) return labels[ownerLabel] === name;
  return (
    annotations['meta.helm.sh/release-name'] === 'devops' &&
    annotations['meta.helm.sh/release-namespace'] === 'core'
  );
};

/**
 * The declared namespaces that exist. Throws `TaskError` if one is being deleted, or, on a cluster that others use
 * too, belongs to another environment or has objects of somebody else.
 */
export async function checkNamespaces(context: ShellContext): Promise<readonly Namespace[]> {
  const { environment } = context;
  const namespaces = await existingNamespaces(context);
  const ending = namespaces.find(({ metadata }) => metadata.deletionTimestamp !== undefined);
  if (ending !== undefined) throw terminating(context, ending);
  const foreign = isShared(environment) ? namespaces.filter((one) => !isOurs(environment, one)) : [];
  for (const namespace of foreign) {
    const { name, labels = {} } = namespace.metadata;
    const owner = labels[ownerLabel];
    const objects = owner === undefined ? await objectsIn(context, name) : [];
    if (owner === undefined && objects.length === 0) continue;
    throw new TaskError({
      what: `namespace ${name} of context \`${environment.context}\` is not this environment's`,
      why:
        owner === undefined
          ? `it has ${objects.slice(0, 3).join(', ')}${objects.length > 3 ? ` and ${objects.length - 3} more` : ''}`
          : `it belongs to environment \`${owner}\``,
      advice: `use another cluster, or have its owner empty it; if it is yours: ${kubectlText(environment)} label --overwrite namespace ${name} ${ownerLabel}=${environment.name}`,
    });
  }
  return namespaces;
}

/**
 * Creates missing namespaces before the release that contains them, and records whose they are; Helm 3 fails with
 * `--create-namespace`, as it first checks what the release would adopt. Throws as `checkNamespaces` does.
 */
export async function prepareNamespaces(context: ShellContext, releases: readonly Release[]): Promise<void> {
  const { environment } = context;
  const namespaces = await checkNamespaces(context);
  if (!releases.some(({ createNamespace }) => createNamespace)) return;
  const items = (await declaredValues(environment.root, 'namespace')).flatMap((name) => {
    const found = namespaces.find(({ metadata }) => metadata.name === name);
    if (found?.metadata.labels?.[ownerLabel] !== undefined) return [];
    const adopted = found !== undefined && !isOurs(environment, found);
    const metadata = {
      name,
      labels: { [ownerLabel]: environment.name },
      ...(adopted && { annotations: { [adoptedAnnotation]: 'true' } }),
    };
    return [{ apiVersion: 'v1', kind: 'Namespace', metadata }];
  });
  if (items.length > 0) await applyObjects(context, items);
}

/** What people put into a namespace. */
const kinds = [
  ...['pods', 'services', 'configmaps', 'secrets', 'persistentvolumeclaims'],
  ...['deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'jobs.batch', 'cronjobs.batch'],
  'ingresses.networking.k8s.io',
].join(',');

/** What Kubernetes and service meshes put into each namespace. */
const everywhere = /^(?:configmap\/.*root-ca.*|configmap\/istio-ca-.*|secret\/default-token-.*)$/;

async function objectsIn({ $, environment }: ShellContext, namespace: string): Promise<readonly string[]> {
  const words = ['-n', namespace, 'get', kinds, '-o', 'name'];
  const listed = await $({ quiet: true })`${kubectl(environment)} ${words}`.catch(throwAdvised);
  return listed.stdout.split('\n').filter((name) => name !== '' && !everywhere.test(name));
}

function terminating({ environment }: ShellContext, { metadata: { name }, status }: Namespace): TaskError {
  // Kubernetes reports what remains and which finalizers it waits for.
  const waits = (status?.conditions ?? []).flatMap(({ type, status, message }) =>
    type.startsWith('Namespace') && status === 'True' && message ? [message] : [],
  );
  const wait = `${kubectlText(environment)} wait --for=delete namespace/${name}`;
  return new TaskError({
    what: `namespace ${name} is being deleted`,
    why: waits.join('\n') || 'somebody deleted it, and its objects are still being removed',
    advice: `remove what it waits for, wait (\`${wait}\`), and run again to recreate it`,
  });
}
