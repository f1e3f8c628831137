import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Container,
  type ObjectReader,
  podEnvironment,
  type Volume,
  type Workload,
} from '../../verification/pod-environment.ts';
import type { Api } from './api.ts';

/* A simulated pod whose work is done by a process, as the API server sees it. */

export type Pod = {
  metadata: Workload['metadata'] & { uid: string; annotations?: { [name: string]: string } };
  spec: { containers: (Container & { image: string })[]; volumes?: Volume[] };
  status: { phase?: string };
};

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
  readonly workload?: Workload;
  readonly environment: Readonly<Record<string, string>>;
  readonly failures: readonly string[];
};

const reader =
  (api: Api, namespace: string): ObjectReader =>
  async (kind, name) => {
    const kinds = kind === 'Secret' ? 'secrets' : 'configmaps';
    const answer = await api.call('GET', `/api/v1/namespaces/${namespace}/${kinds}/${name}`);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`reading ${kinds}/${name} failed with HTTP ${answer.status}`);
    return (answer.body as { data?: Record<string, string> }).data ?? {};
  };

/** The environment of a workload's pods once all its objects exist. `find` may return why there is no workload. */
export async function resolvePod(
  api: Api,
  namespace: string,
  find: () => Promise<Workload | string>,
  signal: AbortSignal,
): Promise<ResolvedPod> {
  const read = reader(api, namespace);
  const deadline = Date.now() + secretsMs;
  for (;;) {
    const workload = await find();
    const resolved: ResolvedPod =
      typeof workload === 'string'
        ? { environment: {}, failures: [workload] }
        : { workload, ...(await podEnvironment(workload, read)) };
    if (resolved.failures.length === 0 || Date.now() > deadline) return resolved;
    await delay(500, undefined, { signal });
  }
}

/** Content of a file mounted from a ConfigMap or Secret; undefined if there is none. */
export async function mountedFile(
  api: Api,
  namespace: string,
  { spec }: Workload,
  path = '',
): Promise<string | undefined> {
  const { containers, volumes } = spec.template.spec;
  const mount = containers[0]?.volumeMounts?.find(({ mountPath }) => mountPath === dirname(path));
  const volume = volumes?.find(({ name }) => name === mount?.name);
  const name = volume?.configMap?.name ?? volume?.secret?.secretName;
  if (name === undefined) return undefined;
  const kind = volume?.configMap === undefined ? 'Secret' : 'ConfigMap';
  const text = (await reader(api, namespace)(kind, name))?.[basename(path)];
  return text === undefined || kind === 'ConfigMap' ? text : Buffer.from(text, 'base64').toString();
}
