import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';

/**
 * Matches an object that the server refuses to change: its namespace, if helm names it ("server-side apply failed for
 * object …"), kind and name. Excludes volumes, namespaces and types, because deleting them loses data.
 */
const refused =
  '(?:object (\\S*)/\\S+ [^:]*: )?(?<![\\w.])(?!Persistent|Namespace|CustomResourceDefinition)([A-Z]\\w+)(?:\\.[\\w.-]+)? "([^"]+)" is invalid: .*';

const withPods = ['Deployment', 'DaemonSet', 'StatefulSet', 'ReplicaSet', 'Job', 'Service'];
/** Kinds without a namespace, besides those that begin with `Cluster`. */
const clusterWide =
  /^Cluster|^(?:PriorityClass|StorageClass|IngressClass|RuntimeClass)$|WebhookConfiguration$/;

/** Advice for an immutable object; `namespace` may be unknown. */
function recreate(namespace: string | undefined, kind: string, name: string): string {
  const flag = namespace ? ` -n ${namespace}` : '';
  const place = namespace || clusterWide.test(kind) ? '' : ' in its namespace';
  const kept = withPods.includes(kind);
  return `delete the object, and run again to recreate it${kept ? '; its pods and volumes stay' : ''} (\`kubectl${flag} delete ${kind.toLowerCase()} ${name}${kept ? ' --cascade=orphan' : ''}\`${place})`;
}

/** Advice for the cluster's error messages. */
const clusterAdvice: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [
    /no matches for kind "(\w+)"/,
    (kind) =>
      `the cluster has no type ${kind}: ${taskCommand('start-k8s')} brings it back on the embedded cluster, elsewhere \`helm show crds <chart of its operator> | kubectl apply --server-side -f -\``,
  ],
  [
    /failed calling webhook "([^"]+)"/,
    (webhook) =>
      `start the server of the webhook ${webhook}, or remove the webhook (see \`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations\`), and run again`,
  ],
  [
    /admission webhook "([^"]+)" (?:denied|does not support)/,
    (webhook) => `ask the owner of the webhook ${webhook}, then run again`,
  ],
  [
    /(\w+) "([^"]+)" in namespace "([^"]*)" exists and cannot be imported/,
    (kind, name, namespace) =>
      `somebody else created it: delete it if nobody needs it (\`kubectl${namespace ? ` -n ${namespace}` : ''} delete ${kind.toLowerCase()} ${name}\`), or let the release take it over: the same command with \`-- --take-ownership\``,
  ],
  [
    new RegExp(
      `${refused}(?:field is immutable|updates to statefulset spec|Duplicate value|cannot change roleRef|may not be changed in an update|may not change once set)`,
    ),
    (namespace, kind, name) => `this cannot be changed in place: ${recreate(namespace, kind, name)}`,
  ],
  [
    new RegExp(
      `${refused}(?:may not specify more than 1 |may not be specified when |mutually exclusive|cannot be both set)`,
    ),
    (namespace, kind, name) =>
      `somebody set a field that excludes the chart's: ${recreate(namespace, kind, name)}`,
  ],
  [
    /ValidatingAdmissionPolicy '([^']+)'(?: with binding '[^']+')? denied request/,
    (policy) => `ask the owner of the ValidatingAdmissionPolicy ${policy}, then run again`,
  ],
  [
    /(?:User|user) "([^"]+)" cannot (\w+) resource "([^"]+)"/,
    (user, verb, resource) => `give ${user} the right to ${verb} ${resource}, then run again`,
  ],
  [
    /(\w+)\/([\w.-]+\/[\w.-]+) (?:still exists|not ready)\. status: Terminating/,
    (kind, name) =>
      `${kind.toLowerCase()} ${name} is being deleted and waits for its finalizers: whoever set them must finish; then run again`,
  ],
  [
    /another operation \(install\/upgrade\/rollback\) is in progress/,
    () => 'somebody else is changing the release: wait until they are done, then run again',
  ],
  [
    /VaultClientConfigError|SecretSyncError/,
    () =>
      `Vault has given no secret: ${taskCommand('init-vault')} sets it up if something is missing; then run again`,
  ],
  [
    /pod (\S+)\/(\S+)-verification-\S+ .*password authentication failed for user "v-/,
    (namespace, release) =>
      `Vault or the server has dropped this login: \`kubectl -n ${namespace} delete vaultdynamicsecret ${release}-database\`, then ${taskCommand('install-tier apps')} for a new one`,
  ],
  [
    /password authentication failed/,
    () => `the server has another password: run ${taskCommand('rotate-database-password')}`,
  ],
];

/** Advice for a failure of the cluster; undefined if there is none. */
export function adviceFor(why: string): string | undefined {
  for (const [pattern, advice] of clusterAdvice) {
    const found = pattern.exec(why);
    if (found) return advice(...found.slice(1));
  }
  return undefined;
}

/** Throws the error again, with advice for the cluster's message if it is a command's. */
export function throwAdvised(error: unknown): never {
  if (!(error instanceof TaskError)) throw error;
  const { what, why, exitCode, advice = adviceFor(why ?? '') } = error;
  throw advice === error.advice ? error : new TaskError({ what, why, advice, exitCode, cause: error });
}
