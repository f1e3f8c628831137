import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseJson } from '@k8s-deployment/runner';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { writeWhole } from '../settings/environment.ts';
import { withProgress } from '../tools/tool-context.ts';
import { endCommand, holds, type InNamespace, kubectl, kubectlList, type WithConditions } from './kubectl.ts';

type ContainerStatus = {
  readonly name: string;
  readonly ready?: boolean;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
  };
};

export type PodStatus = {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
};

/** The fields of a pod that the tasks use. */
export type Pod = InNamespace & WithConditions & { readonly status?: PodStatus };

/** A pod or other object with its problem. */
export type Finding = { readonly object: string; readonly text: string };

export type Diagnosis = {
  /** The pods seen so far, as they were last. */
  pods(): Pod[];
  /** What may explain a failure, most likely first. */
  findings(): Finding[];
  /** Messages of successful checks. */
  passed(): Finding[];
  /** Writes everything observed to a file in the state folder and returns its path. */
  save(name: string): Promise<string>;
  stop(): Promise<void>;
};

/** An autoscaler's warnings until a new release's pods are measured; they explain no failure. */
export const aboutMetrics = /^(?:FailedGet\w*Metrics?|FailedComputeMetricsReplicas): /;

/**
 * Watches pods and warnings of some namespaces from now on. helm removes a failed release with its pods and logs (by
 * rollback, or by uninstall after a first install), so the explanation must be gathered while it runs.
 */
export async function watchCluster(
  context: EnvironmentContext,
  namespaces: ReadonlySet<string>,
): Promise<Diagnosis> {
  const { environment } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  const pods = new Map<string, SeenPod & Pod>();
  const warnings: Finding[] = [];

  const watchPods = watch({ $, environment }, ['pods'], podTemplate, (line) => {
    const [namespace, name, deletionTimestamp, ...rest] = line.split('|');
    // A message in it may contain the separator.
    const status = parseJson(rest.join('|')) as PodStatus | undefined;
    if (!namespace || !name || !namespaces.has(namespace) || status === undefined) return;
    const key = `${namespace}/${name}`;
    const metadata = { namespace, name, ...(deletionTimestamp ? { deletionTimestamp } : {}) };
    const pod = { ...seen(pods.get(key), status), metadata };
    // Immediately, since the pod may soon be gone.
    if (pod.problem && !pod.logs) pod.logs = lastLines({ $, environment }, namespace, name);
    pods.set(key, pod);
  });
  const eventWords = ['events', '--field-selector', 'type=Warning'];
  const watchEvents = watch({ $, environment }, eventWords, '{@}{"\\n"}', (line) => {
    const warning = warningOf(line, namespaces);
    if (warning !== undefined) warnings.push(warning);
  });

  return {
    pods: () => [...pods.values()],
    findings: () => [
      ...[...pods].flatMap(([key, { problem }]) =>
        problem ? [{ object: `pod ${key}`, text: problem }] : [],
      ),
      ...distinct(telling(warnings, pods)),
    ],
    passed: () =>
      [...pods].flatMap(([key, { status }]) => {
        const [ended] = status.containerStatuses?.flatMap(({ state }) => state?.terminated ?? []) ?? [];
        const said = ended?.exitCode === 0 ? ended.message?.trim() : undefined;
        return said ? [{ object: `pod ${key}`, text: said.replaceAll('\n', ', ') }] : [];
      }),
    save: async (name) => {
      const stamp = new Date().toISOString().replace(/[:.]/g, '-');
      const path = join(environment.state, 'diagnostics', `${stamp}-${name}.txt`);
      const sections = [...pods].map(async ([key, { status, logs }]) => {
        const last = logs ? `\n## last log lines\n${await logs}` : '';
        return `# pod ${key}\n${JSON.stringify(status, null, 2)}${last}`;
      });
      const events = warnings.map(({ object, text }) => `${object}: ${text}`);
      const lines = [...(await Promise.all(sections)), '# warnings', ...events];
      await writeWhole(path, `${lines.join('\n')}\n`);
      return path;
    },
    stop: async () => {
      await Promise.all([watchPods, watchEvents].map(endCommand));
    },
  };
}

/** The warning in an event's JSON; undefined for one of another namespace. */
export function warningOf(line: string, namespaces: ReadonlySet<string>): Finding | undefined {
  type Event = { involvedObject: { namespace?: string; kind: string; name: string } };
  const event = parseJson(line) as (Event & { reason: string; message?: string }) | undefined;
  const { namespace = '', kind, name } = event?.involvedObject ?? {};
  if (event === undefined || !namespaces.has(namespace)) return undefined;
  const message = (event.message ?? '').trim().replace(/\s*\n\s*/g, ' ');
  return { object: `${kind?.toLowerCase()} ${namespace}/${name}`, text: `${event.reason}: ${message}` };
}

// A tenth of the whole object. No tabs as separators: kubectl turns them into blanks.
const podTemplate =
  '{.metadata.namespace}{"|"}{.metadata.name}{"|"}{.metadata.deletionTimestamp}{"|"}{.status}{"\\n"}';

/** Calls `onLine` for each new state of an object, which the template prints on one line. */
function watch(
  { $, environment }: ShellContext,
  words: readonly string[],
  template: string,
  onLine: (line: string) => void,
) {
  const output = ['-A', '--watch-only', '-o', `jsonpath=${template}`];
  const child = $`exec ${kubectl(environment)} get ${words} ${output}`;
  createInterface({ input: child.stdout }).on('line', onLine);
  return child;
}

async function lastLines({ $, environment }: ShellContext, namespace: string, pod: string): Promise<string> {
  const output = await $`${kubectl(environment)} -n ${namespace} logs ${pod} --all-containers --tail 20`;
  return output.exitCode === 0 ? output.stdout : '';
}

type SeenPod = {
  readonly status: PodStatus;
  /** Last problem seen; kept even if a rollback ends the pod cleanly. */
  readonly problem: string | undefined;
  /** True if it was ever ready. */
  readonly wasReady: boolean;
  logs?: Promise<string>;
};

/** Updates a pod's status; a pod that becomes ready loses its earlier problem. */
export function seen(before: SeenPod | undefined, status: PodStatus): SeenPod {
  const ready = status.containerStatuses?.every((container) => container.ready) ?? false;
  const problem = problemOf(status) ?? (ready ? undefined : before?.problem);
  return { ...before, status, problem, wasReady: ready || before?.wasReady === true };
}

/** A pod's problem for a message; undefined if there is none. */
export function problemOf(status: PodStatus): string | undefined {
  for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const { terminated, waiting } = container.state ?? {};
    if (terminated && terminated.exitCode !== 0)
      return (
        terminated.message?.trim() ||
        `container ${container.name} ended with exit code ${terminated.exitCode} (${terminated.reason ?? ''})`
      );
    if (waiting?.reason && !['ContainerCreating', 'PodInitializing'].includes(waiting.reason))
      return `container ${container.name}: ${waiting.reason}${waiting.message ? `: ${waiting.message}` : ''}`;
  }
  if (status.phase === 'Failed') return status.message ?? status.reason ?? 'failed';
  return undefined;
}

/** Warnings that may explain a failure, pods that could not be created first; none about ready pods. */
export function telling(warnings: readonly Finding[], pods: ReadonlyMap<string, SeenPod>): Finding[] {
  const isPod = ({ object }: Finding) => object.startsWith('pod ');
  const kept = warnings.filter(({ object, text }) => {
    const pod = pods.get(object.slice('pod '.length));
    return !aboutMetrics.test(text) && !(pod?.wasReady && pod.problem === undefined);
  });
  return [...kept.filter((warning) => !isPod(warning)), ...kept.filter(isPod)];
}

const distinct = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((finding) => [`${finding.object}\n${finding.text}`, finding])).values(),
];

/** The pods of the namespaces. Throws `TaskError` if kubectl fails. */
export async function readPods(context: ShellContext, namespaces: ReadonlySet<string>): Promise<Pod[]> {
  const pods = await kubectlList<Pod>(context, 'get', 'pods', '-A');
  return pods.filter(({ metadata }) => namespaces.has(metadata.namespace));
}

/** Pods that are unexpectedly not ready, with the reason; ignores finished pods of Jobs and pods being deleted. */
export function unreadyOf(pods: readonly Pod[]): readonly Finding[] {
  return pods.flatMap(({ metadata, status = {} }) => {
    const { phase = 'Pending', conditions = [] } = status;
    if (phase === 'Succeeded' || phase === 'Failed' || metadata.deletionTimestamp !== undefined) return [];
    if (holds(conditions, 'Ready')) return [];
    const scheduling = conditions.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
    const text =
      problemOf(status) ??
      scheduling?.message ??
      (phase === 'Running' ? 'it is not ready' : `it is ${phase}`);
    return [{ object: `pod ${metadata.namespace}/${metadata.name}`, text }];
  });
}

/** The result of the work; meanwhile the task's progress names a pod that is waited for, or not created, and why. */
export const tellWaiting = <Result>(
  context: Pick<EnvironmentContext, 'progress' | 'signal'>,
  text: string,
  work: PromiseLike<Result>,
  diagnosis: Pick<Diagnosis, 'pods' | 'findings'>,
): Promise<Result> =>
  withProgress(context, text, work, () => {
    const refused = diagnosis.findings().filter(({ text }) => /^FailedCreate: .* exceeded quota/.test(text));
    const [first, ...others] = [...unreadyOf(diagnosis.pods()), ...refused];
    if (first === undefined) return {};
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    return { text: `waiting for ${first.object} (${first.text})${more}` };
  });
