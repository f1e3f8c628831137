import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ObjectReader, podEnvironment, type Workload } from '../../verification/pod-environment.ts';
import type { CheckFailure } from '../../verification/run-check.ts';
import type { Api } from './api.ts';

/** Milliseconds to wait for Secrets, which the operator writes shortly after the release is installed. */
const secretsMs = 60_000;

export type ResolvedPod = {
  readonly workload?: Workload;
  readonly environment: Readonly<Record<string, string>>;
  readonly failures: readonly CheckFailure[];
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
        ? { environment: {}, failures: [{ check: 'pod environment', reason: workload }] }
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
