import { setTimeout as delay } from 'node:timers/promises';
import type { Environment } from '../../environment.ts';
import { environmentOf } from '../../environment.ts';
import { root } from '../../project.ts';
import { type ObjectReader, podEnvironment, type Workload } from '../../verification/pod-environment.ts';
import { type CheckFailure, runCheck } from '../../verification/run-check.ts';
import { type Api, connectApi } from './api.ts';
import { requireState } from './state.ts';

/*
 * The kubelet of check Jobs on the embedded cluster, as a service of its own: `node --import tsx job-runner.ts <environment>
 * <state folder>`. Simulated pods run nothing, so the pod of a check would be worth nothing; here the same program runs as
 * a process, and its result becomes the pod's. helm sees a Job that failed or succeeded for a reason.
 */

const annotation = 'k8s-deployment/verify-deployment';

type Pod = {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: { readonly [name: string]: string };
  };
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
  readonly status: { readonly phase?: string };
};

/** Secrets come a moment after the release (the operator writes them): a pod would wait for them too. */
const secretsMs = 60_000;

async function main(environmentName: string): Promise<void> {
  const environment: Environment = environmentOf({ env: environmentName, provider: 'embedded' });
  const { ports } = await requireState(environment);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const api = await connectApi(environment, ports.kubeApiserver);
  const seen = new Set<string>();

  const consider = (pod: Pod): void => {
    const deployment = pod.metadata.annotations?.[annotation];
    if (deployment === undefined || pod.status.phase !== 'Running' || seen.has(pod.metadata.uid)) return;
    seen.add(pod.metadata.uid);
    check(api, pod, deployment, ports.postgresql, stop.signal).catch((error: Error) =>
      log(pod, `could not be checked: ${error.message}`),
    );
  };

  log(undefined, `watching for pods with the annotation ${annotation}`);
  while (!stop.signal.aborted) {
    try {
      // A watch without a resource version begins with the pods that are there.
      await api.watch(
        '/api/v1/pods?watch=true',
        ({ type, object }) => {
          if (type === 'ADDED' || type === 'MODIFIED') consider(object as Pod);
        },
        stop.signal,
      );
    } catch (error) {
      if (!stop.signal.aborted) log(undefined, `the watch ended: ${(error as Error).message}`);
    }
    // The API server ends a watch now and then, and is away while the cluster starts.
    await delay(500, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

async function check(
  api: Api,
  pod: Pod,
  deployment: string,
  databasePort: number,
  signal: AbortSignal,
): Promise<void> {
  const { namespace } = pod.metadata;
  log(pod, `checks deployment ${deployment}`);
  const resolved = await resolve(api, namespace, deployment, signal);
  const result =
    resolved.failures.length > 0
      ? { ok: false, lines: resolved.failures.map(({ check, reason }) => `FAILED ${check}: ${reason}`) }
      : await runCheck({
          projectFolder: root,
          environment: resolved.environment,
          databaseAddress: `127.0.0.1:${databasePort}`,
          signal,
        });
  for (const line of result.lines) log(pod, line);
  const failed = result.lines.filter((line) => line.startsWith('FAILED '));
  await finish(api, pod, result.ok, (result.ok ? result.lines : failed).join('\n'));
}

type Resolved = {
  readonly environment: Readonly<Record<string, string>>;
  readonly failures: readonly CheckFailure[];
};

/** The environment that the deployment's pods would have, as soon as all that it refers to is there. */
async function resolve(
  api: Api,
  namespace: string,
  deployment: string,
  signal: AbortSignal,
): Promise<Resolved> {
  const read: ObjectReader = async (kind, name) => {
    const kinds = kind === 'Secret' ? 'secrets' : 'configmaps';
    const answer = await api.call('GET', `/api/v1/namespaces/${namespace}/${kinds}/${name}`);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200)
      throw new Error(`reading ${kinds}/${name} was answered with HTTP ${answer.status}`);
    return (answer.body as { data?: Record<string, string> }).data ?? {};
  };
  const deadline = Date.now() + secretsMs;
  for (;;) {
    const answer = await api.call('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`);
    const found = answer.status === 200;
    const resolved: Resolved = found
      ? await podEnvironment(answer.body as Workload, read)
      : { environment: {}, failures: [{ check: 'deployment', reason: `${deployment} is not there` }] };
    if (resolved.failures.length === 0 || Date.now() > deadline) return resolved;
    await delay(500, undefined, { signal });
  }
}

/** Writes what the kubelet would: the container's end, its message and the pod's phase. */
async function finish(api: Api, pod: Pod, ok: boolean, message: string): Promise<void> {
  const { name, namespace } = pod.metadata;
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const terminated = {
    exitCode: ok ? 0 : 1,
    reason: ok ? 'Completed' : 'Error',
    // The kubelet keeps 4096 bytes of a termination message.
    message: message.slice(0, 4096),
    startedAt: now,
    finishedAt: now,
  };
  const status = {
    phase: ok ? 'Succeeded' : 'Failed',
    conditions: [
      { type: 'Ready', status: 'False', reason: ok ? 'PodCompleted' : 'PodFailed', lastTransitionTime: now },
      {
        type: 'ContainersReady',
        status: 'False',
        reason: ok ? 'PodCompleted' : 'PodFailed',
        lastTransitionTime: now,
      },
    ],
    containerStatuses: pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image,
      imageID: '',
      ready: false,
      started: false,
      restartCount: 0,
      state: { terminated },
    })),
  };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
  const answer = await api.call('PATCH', path, { status }, { contentType: 'application/merge-patch+json' });
  log(
    pod,
    answer.status === 200 ? (ok ? 'succeeded' : 'failed') : `its status was refused: HTTP ${answer.status}`,
  );
}

function log(pod: Pod | undefined, text: string): void {
  const about = pod === undefined ? '' : ` ${pod.metadata.namespace}/${pod.metadata.name}`;
  process.stdout.write(`${new Date().toISOString()}${about} ${text}\n`);
}

await main(process.argv[2] ?? '');
