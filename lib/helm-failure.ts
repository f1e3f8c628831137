import type { Finding } from './diagnostics.ts';
import { type Release, saidByHelm } from './helmfile.ts';
import { reasonIn, TaskError } from './runner/runner.ts';
import { readableRange } from './schema-words.ts';

export type HelmFailure = {
  /** The releases that helm failed with; empty when helmfile failed before any, or said not which. */
  readonly failed: readonly Release[];
  /** helm's message, or helmfile's last line; empty when neither said anything. */
  readonly said: string;
  /** helm says that it brought back what was there before. */
  readonly restored: boolean;
  /** The charts or their values are wrong: nothing of these releases was sent to the cluster. */
  readonly rendering: boolean;
  /** helm itself ended without a word: nothing follows for charts and values. */
  readonly silent: boolean;
};

// helm: "Use --debug flag …", "ensure CRDs …" and structured log lines follow or precede the message and explain nothing.
const noise =
  /^(?:Use --debug flag|ensure CRDs are installed|level=(?:WARN|INFO|DEBUG)|Release ".*" does not exist)/;

const aboutRendering =
  /execution error at|parse error|template: |error calling|YAML parse error|don't meet the specifications of the schema|unable to build kubernetes objects|no matches for kind|error converting YAML/;

/** What helmfile's stderr tells of a failed command over `releases`. */
export function readHelmFailure(stderr: string, releases: readonly Release[]): HelmFailure {
  const names = new Set<string>();
  for (const [, name] of stderr.matchAll(/failed processing release (\S+?): /g)) names.add(name ?? '');
  // helm's words, of which the release comes before the namespace, which may have the same name.
  for (const [, words = ''] of stderr.matchAll(/^ARGS:\n((?: +\d+: .*\n)+)/gm)) {
    const args = [...words.matchAll(/^ +\d+: (.*) \(\d+ bytes\)$/gm)].map(([, word]) => word);
    const release = args.find((word) => releases.some(({ name }) => name === word));
    if (release !== undefined) names.add(release);
  }
  const lines = saidByHelm(stderr)
    .filter((line) => !noise.test(line))
    .map(readableRange);
  const start = lines.findIndex((line) => /^Error: /.test(line));
  // A helm that was killed, or could not be started, has said nothing: then helmfile tells how it ended.
  const ended = /^STDERR:/m.test(stderr) ? undefined : /^ERROR:\n +(.+)$/m.exec(stderr)?.[1];
  const said =
    ended !== undefined
      ? [`helm said nothing and ended with: ${ended}`]
      : start >= 0
        ? lines.slice(start, start + shownLines)
        : [reasonIn(lines.join('\n')) ?? ''];
  return {
    failed: releases.filter(({ name }) => names.has(name)),
    said: said.join('\n'),
    restored: /has been (?:rolled back|uninstalled)/.test(stderr),
    rendering: aboutRendering.test(said.join('\n')),
    silent: ended !== undefined,
  };
}

/**
 * Of what was seen, what is about the failed releases: their checks may share a namespace with others that fail as well. When nothing
 * is, what belongs to none of `declared`; everything when helm named no release.
 */
export function findingsOf(
  failed: readonly Release[],
  findings: readonly Finding[],
  declared: readonly Release[],
): readonly Finding[] {
  if (failed.length === 0) return findings;
  const owners = findings.map((finding) => ownerOf(finding, declared));
  const own = findings.filter((_, index) => failed.some(({ name }) => name === owners[index]?.name));
  return own.length > 0 ? own : findings.filter((_, index) => owners[index] === undefined);
}

/** How many findings an error shows; all of them are in the file that it names. */
const shownFindings = 3;

/** The findings for an error's `why`. Every attempt of a Job says the same: each text is shown with the first object that it is about. */
export function shownLinesOf(findings: readonly Finding[]): readonly string[] {
  const byText = new Map(findings.toReversed().map((finding) => [finding.text, finding]));
  const lines = [...byText.values()].reverse().map(({ object, text }) => `${object}: ${text}`);
  return lines.slice(0, shownFindings);
}

/** Names the diagnostics file for an error's advice, with its path relative to the project. */
export const seenIn = (file: string): string =>
  `all that was seen is in ${file.slice(file.indexOf('.state/'))}`;

/** The release whose name an object's begins with; of `vault` and `vault-operator` the longer one. */
function ownerOf({ object }: Finding, declared: readonly Release[]): Release | undefined {
  const path = object.slice(object.indexOf(' ') + 1);
  return declared
    .filter(({ namespace, name }) => `${path}-`.startsWith(`${namespace}/${name}-`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** What mends a failed check whose pod knows another authority than the one that signed the database's certificate. */
export function authorityAdvice(why: string, failed: readonly Release[]): string | undefined {
  if (!/database login: .*(?:verify the first certificate|self-signed certificate)/.test(why))
    return undefined;
  const tiers = [...new Set(failed.map(({ tier }) => tier))];
  return `run ${tiers.map((tier) => `install-tier ${tier}`).join(' and ')}: it gives them the authority of the database's certificate`;
}

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
      `the cluster has no type ${kind}: \`start-k8s\` brings it back on the embedded cluster, elsewhere \`helm show crds <chart of its operator> | kubectl apply --server-side -f -\``,
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

/** A schema error is a line for each value. */
const shownLines = 8;

/** Where to mend what a release renders to, for an error's `do`. */
export function placesToMend(releases: readonly Release[], environment: string): string {
  const charts = releases.map(({ chart }) => chart).filter((chart) => chart.startsWith('./'));
  const places = [...new Set(charts.map((chart) => chart.slice(2)))];
  return [...(places.length > 0 ? places : ['charts/']), `environments/${environment}/`].join(' or ');
}

/**
 * The error of a command that only renders (`doing` as in "rendering"), with helm's message instead of helmfile's last line.
 * Anything that is not the failure of a command is given back as it is.
 */
export function renderingFailure(
  error: unknown,
  stderr: string,
  releases: readonly Release[],
  doing: string,
  environment: string,
): unknown {
  if (!(error instanceof TaskError)) return error;
  const { failed, said, silent } = readHelmFailure(stderr, releases);
  if (said === '') return error;
  const named = failed.length > 0 ? failed : releases;
  return new TaskError({
    what: `${doing} ${named.map(({ name }) => name).join(', ')} failed`,
    why: said,
    advice: silent
      ? 'run it again; nothing was changed'
      : `mend ${placesToMend(failed, environment)} and run again; nothing was changed`,
    exitCode: error.exitCode,
    cause: error,
  });
}
