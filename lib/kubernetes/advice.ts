import { taskCommand } from '../ground/launcher.ts';
import { TaskError } from '../runner/runner.ts';

/**
 * An object that the server refuses to change: its namespace, where helm names it ("server-side apply failed for object …"), kind and
 * name. Volumes, namespaces and types are not among them: their data would be lost.
 */
const refused =
  '(?:object (\\S*)/\\S+ [^:]*: )?(?<![\\w.])(?!Persistent|Namespace|CustomResourceDefinition)([A-Z]\\w+)(?:\\.[\\w.-]+)? "([^"]+)" is invalid: .*';

const withPods = ['Deployment', 'DaemonSet', 'StatefulSet', 'ReplicaSet', 'Job', 'Service'];
/** Other kinds of the whole cluster begin with `Cluster`. */
const clusterWide =
  /^Cluster|^(?:PriorityClass|StorageClass|IngressClass|RuntimeClass)$|WebhookConfiguration$/;

/** The way out for an object that cannot be changed. `namespace` is undefined where nobody named it. */
function makeAgain(namespace: string | undefined, kind: string, name: string): string {
  const flag = clusterWide.test(kind) ? '' : ` -n ${namespace || '<namespace>'}`;
  const kept = withPods.includes(kind);
  return `delete the object and run again, which makes it again${kept ? '; its pods and volumes stay' : ''} (\`kubectl${flag} delete ${kind.toLowerCase()} ${name}${kept ? ' --cascade=orphan' : ''}\`)`;
}

/** What helps against what the cluster said, by the words it said it with. */
const clusterAdvice: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [
    /no matches for kind "(\w+)"/,
    (kind) =>
      `the cluster has no type ${kind}: ${taskCommand('start-k8s')} brings it back on the embedded cluster, elsewhere \`helm show crds <chart of its operator> | kubectl apply --server-side -f -\``,
  ],
  [
    /failed calling webhook "([^"]+)"/,
    (webhook) =>
      `start what serves the webhook ${webhook}, or remove the webhook (see \`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations\`), and run again`,
  ],
  [
    /admission webhook "([^"]+)" (?:denied|does not support)/,
    (webhook) => `ask who runs the webhook ${webhook}, and run again`,
  ],
  [
    /(\w+) "([^"]+)" in namespace "([^"]*)" exists and cannot be imported/,
    (kind, name, namespace) =>
      `somebody else made it: delete it if nobody needs it (\`kubectl${namespace ? ` -n ${namespace}` : ''} delete ${kind.toLowerCase()} ${name}\`), or let the release take it over: the same command with \`-- --take-ownership\``,
  ],
  [
    new RegExp(
      `${refused}(?:field is immutable|updates to statefulset spec|Duplicate value|cannot change roleRef|may not be changed in an update)`,
    ),
    (namespace, kind, name) => `this cannot be changed in place: ${makeAgain(namespace, kind, name)}`,
  ],
  [
    new RegExp(
      `${refused}(?:may not specify more than 1 |may not be specified when |mutually exclusive|cannot be both set)`,
    ),
    (namespace, kind, name) =>
      `somebody set what excludes the chart's own setting: ${makeAgain(namespace, kind, name)}`,
  ],
  [
    /ValidatingAdmissionPolicy '([^']+)'(?: with binding '[^']+')? denied request/,
    (policy) => `ask who runs the ValidatingAdmissionPolicy ${policy}, and run again`,
  ],
  [
    /"([^"]+)" has no deployed releases/,
    (release) =>
      `no revision of it was ever in service, or its Secret is gone: go back to an earlier one (\`rollback ${release}\`), or, where there is none, delete its history (\`kubectl -n <namespace> delete secret -l owner=helm,name=${release}\`), and run again`,
  ],
  [
    /(?:User|user) "([^"]+)" cannot (\w+) resource "([^"]+)"/,
    (user, verb, resource) => `have ${user} allowed to ${verb} ${resource}, and run again`,
  ],
  [
    /(\w+)\/([\w.-]+\/[\w.-]+) (?:still exists|not ready)\. status: Terminating/,
    (kind, name) =>
      `${kind.toLowerCase()} ${name} is being deleted and waits for its finalizers: have whoever set them finish, and run again`,
  ],
  [
    /another operation \(install\/upgrade\/rollback\) is in progress/,
    () => 'somebody else is at work on the release: wait until they are done, and run again',
  ],
];

/** The advice for a failure that is the cluster's, or undefined. */
export function adviceFor(why: string): string | undefined {
  for (const [pattern, advice] of clusterAdvice) {
    const found = pattern.exec(why);
    if (found) return advice(...found.slice(1));
  }
  return undefined;
}

/** The failure of a command, with the advice for what the cluster said. Anything else is given back as it is. */
export function advised(error: unknown): unknown {
  if (!(error instanceof TaskError)) return error;
  const { what, why, exitCode, advice = adviceFor(why ?? '') } = error;
  return advice === error.advice ? error : new TaskError({ what, why, advice, exitCode, cause: error });
}
