import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { poll } from '../../ground/poll.ts';
import type { Api } from './api.ts';

/* A simulated pod whose work is done by a process, as the API server sees it. */

export type Pod = {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: StringMap;
  };
  readonly spec: PodSpec;
  readonly status: { readonly phase?: string };
};

export type PodSpec = { readonly containers: readonly Container[]; readonly volumes?: readonly Volume[] };

export type Result = { readonly ok: boolean; readonly lines: readonly string[] };

type Run = {
  readonly api: Api;
  readonly pod: Pod;
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
  readonly pauseMs?: number;
};

/**
 * Does a pod's work and writes the result, again after an error: a pod without a result runs until its Job's deadline.
 * Stops once the pod no longer runs.
 */
export async function workOff(run: Run, work: () => Promise<Result>): Promise<void> {
  const { signal, log, pauseMs = 1000 } = run;
  while (!signal.aborted) {
    try {
      if (!(await isRunning(run))) return;
      const result = await work();
      for (const line of result.lines) log(line);
      return await finish(run, result);
    } catch (error) {
      log(`has no result yet: ${(error as Error).message}`);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

const pathOf = ({ metadata: { name, namespace } }: Pod): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

async function isRunning({ api, pod }: Run): Promise<boolean> {
  const { status, body } = await api.call('GET', pathOf(pod));
  if (status === 404) return false;
  if (status !== 200) throw new Error(`the pod could not be read: HTTP ${status}`);
  const now = body as Pod;
  return now.metadata.uid === pod.metadata.uid && now.status.phase === 'Running';
}

/** Writes a kubelet's status: the container's end, its message and the pod's phase. */
async function finish({ api, pod, log }: Run, { ok, lines }: Result): Promise<void> {
  const message = (ok ? lines : lines.filter((line) => line.startsWith('FAILED '))).join('\n');
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const terminated = {
    exitCode: ok ? 0 : 1,
    reason: ok ? 'Completed' : 'Error',
    // A kubelet keeps 4096 bytes of a termination message.
    message: message.slice(0, 4096),
    startedAt: now,
    finishedAt: now,
  };
  const reason = ok ? 'PodCompleted' : 'PodFailed';
  const notReady = { status: 'False', reason, lastTransitionTime: now };
  const status = {
    phase: ok ? 'Succeeded' : 'Failed',
    conditions: ['Ready', 'ContainersReady'].map((type) => ({ type, ...notReady })),
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      ...{ name, image, imageID: '', ready: false, started: false, restartCount: 0 },
      state: { terminated },
    })),
  };
  const contentType = 'application/merge-patch+json';
  const answer = await api.call('PATCH', `${pathOf(pod)}/status`, { status }, { contentType });
  if (answer.status !== 200) throw new Error(`its status was refused: HTTP ${answer.status}`);
  log(ok ? 'succeeded' : 'failed');
}

/** Milliseconds to wait for Secrets, which the operator writes shortly after the release is installed. */
const secretsMs = 60_000;

type ResolvedPod = {
  readonly spec?: PodSpec;
  readonly environment: Readonly<Record<string, string>>;
  readonly failures: readonly string[];
};

/** The environment of a pod once all its objects exist. `find` may return why there is no pod. */
export async function resolvePod(
  api: Api,
  namespace: string,
  find: () => Promise<PodSpec | string>,
  signal: AbortSignal,
): Promise<ResolvedPod> {
  let resolved: ResolvedPod = { environment: {}, failures: [] };
  const isComplete = async (): Promise<true | undefined> => {
    const spec = await find();
    resolved =
      typeof spec === 'string'
        ? { environment: {}, failures: [spec] }
        : { spec, ...(await podEnvironment(api, namespace, spec)) };
    return resolved.failures.length === 0 || undefined;
  };
  await poll(isComplete, secretsMs, signal);
  return resolved;
}

/** Content of a file mounted from a ConfigMap or Secret; undefined if there is none. */
export async function mountedFile(
  api: Api,
  namespace: string,
  { containers, volumes }: PodSpec,
  path = '',
): Promise<string | undefined> {
  const mount = containers[0]?.volumeMounts?.find(({ mountPath }) => mountPath === dirname(path));
  const { configMap, secret } = volumes?.find(({ name }) => name === mount?.name) ?? {};
  const content =
    (configMap && (await contentOf(api, namespace, 'ConfigMap', configMap.name))) ??
    (secret && (await contentOf(api, namespace, 'Secret', secret.secretName)));
  return content?.[basename(path)];
}

type StringMap = { readonly [key: string]: string | undefined };

type Container = {
  readonly name: string;
  readonly image?: string;
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly VariableSource[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
};

type Volume = {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string };
};

type ObjectReference = { readonly name: string; readonly optional?: boolean };
type KeyReference = ObjectReference & { readonly key: string };

type VariableSource = {
  readonly prefix?: string;
  readonly configMapRef?: ObjectReference;
  readonly secretRef?: ObjectReference;
};

type Variable = {
  readonly name: string;
  readonly value?: string;
  /** Other sources, such as `fieldRef`, depend on the pod or node. */
  readonly valueFrom?: { readonly secretKeyRef?: KeyReference; readonly configMapKeyRef?: KeyReference };
};

type Kind = 'Secret' | 'ConfigMap';

/** Decoded content of an object; undefined if it does not exist. */
async function contentOf(
  api: Api,
  namespace: string,
  kind: Kind,
  name: string,
): Promise<StringMap | undefined> {
  const object = `${kind.toLowerCase()}s/${name}`;
  const { status, body } = await api.call('GET', `/api/v1/namespaces/${namespace}/${object}`);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`reading ${object} failed with HTTP ${status}`);
  const { data = {} } = body as { data?: { [key: string]: string } };
  if (kind === 'ConfigMap') return data;
  const decode = (value: string): string => Buffer.from(value, 'base64').toString();
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(value)]));
}

/**
 * The environment of a pod's first container, built as the kubelet does (Kubernetes v1.31,
 * pkg/kubelet/kubelet_pods.go): `envFrom` in order, then `env`, with `$(NAME)` replaced by earlier values. Omits
 * variables of Services (enableServiceLinks), the image, the pod and the node. Failures are reasons why the kubelet would
 * not start the container (CreateContainerConfigError). Rejects only if an object cannot be read.
 */
export async function podEnvironment(api: Api, namespace: string, { containers }: PodSpec) {
  const { envFrom = [], env = [] } = containers[0] ?? {};
  const environment = new Map<string, string>();
  const failures = new Set<string>();
  const objects = new Map<string, Promise<StringMap | undefined>>();

  /** Undefined if the object is missing, which is a failure unless it is optional. */
  async function content(kind: Kind, { name, optional }: ObjectReference) {
    const key = `${kind}/${name}`;
    const reading = objects.get(key) ?? contentOf(api, namespace, kind, name);
    objects.set(key, reading);
    const data = await reading;
    if (data === undefined && optional !== true) failures.add(`${kind.toLowerCase()} "${name}" not found`);
    return data;
  }

  for (const { prefix = '', secretRef, configMapRef } of envFrom) {
    const reference = secretRef ?? configMapRef;
    const data = reference && (await content(secretRef ? 'Secret' : 'ConfigMap', reference));
    for (const [name, value = ''] of Object.entries(data ?? {})) environment.set(prefix + name, value);
  }
  for (const { name, value = '', valueFrom } of env) {
    const reference = valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef;
    if (valueFrom === undefined) environment.set(name, expand(value, environment));
    else if (reference === undefined) environment.delete(name);
    else {
      const kind = valueFrom.secretKeyRef ? 'Secret' : 'ConfigMap';
      const data = await content(kind, reference);
      const found = data?.[reference.key];
      // Like the kubelet, keep a value of envFrom if an optional source is missing.
      if (found !== undefined) environment.set(name, found);
      else if (data !== undefined && reference.optional !== true) {
        failures.add(`couldn't find key ${reference.key} in ${kind} ${namespace}/${reference.name}`);
      }
    }
  }
  return { environment: Object.fromEntries(environment), failures: [...failures] };
}

/** Replaces `$(NAME)` by its value and `$$` by `$`; an unknown name stays. */
const expand = (text: string, environment: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (environment.get(name) ?? match),
  );
