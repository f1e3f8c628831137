import { setTimeout as delay } from 'node:timers/promises';
import { setUpDatabases } from '../../database/set-up.ts';
import { root } from '../../ground/project.ts';
import type { Environment } from '../../settings/context.ts';
import { environmentOf } from '../../settings/environment.ts';
import { type Api, connectApi } from './api.ts';
import { mountedFile, type Pod, type PodSpec, type Result, resolvePod, workOff } from './job-pod.ts';
import { runCheck } from './run-check.ts';
import { requireState } from './state.ts';

/*
 * The kubelet for Jobs of the embedded cluster: `node --import tsx job-runner.ts <environment> <state folder>`. A
 * check in a simulated pod would prove nothing, as it runs nothing. This service runs the check as a process and
 * writes the result to the pod's status, so that helm sees a real success or failure.
 */

type Work = {
  readonly api: Api;
  readonly pod: Pod;
  readonly databasePort: number;
  readonly signal: AbortSignal;
};

/** Jobs by an annotation of their pod, whose value is the target. */
const jobs: { readonly [annotation: string]: (work: Work, target: string) => Promise<Result> } = {
  'k8s-deployment/verify-deployment': verify,
  'k8s-deployment/set-up-database': setUp,
};

async function main(environmentName: string): Promise<void> {
  const environment: Environment = environmentOf({ env: environmentName, provider: 'embedded' });
  const { ports } = await requireState(environment);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const api = await connectApi(environment, ports.kubeApiserver);
  const seen = new Set<string>();

  const consider = (pod: Pod): void => {
    if (pod.status.phase !== 'Running' || seen.has(pod.metadata.uid)) return;
    for (const [annotation, job] of Object.entries(jobs)) {
      const target = pod.metadata.annotations?.[annotation];
      if (target === undefined) continue;
      seen.add(pod.metadata.uid);
      log(pod, `${annotation}: ${target}`);
      const work = { api, pod, databasePort: ports.postgresql, signal: stop.signal };
      void workOff({ ...work, log: (text) => log(pod, text) }, () => job(work, target));
    }
  };

  log(undefined, `watching for pods with one of the annotations ${Object.keys(jobs).join(', ')}`);
  while (!stop.signal.aborted) {
    try {
      // Without a resource version, a watch begins with existing pods.
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
    // The API server sometimes ends a watch, and does not answer while the cluster starts.
    await delay(500, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

/** The result if a pod could not start. */
const notStarted = (failures: readonly string[]): Result => ({
  ok: false,
  lines: failures.map((reason) => `FAILED pod environment: ${reason}`),
});

type Deployment = { readonly spec: { readonly template: { readonly spec: PodSpec } } };

/** Checks that a backend's Deployment has the database parameters and the real server accepts them. */
async function verify({ api, pod, databasePort, signal }: Work, deployment: string): Promise<Result> {
  const { namespace } = pod.metadata;
  const find = async () => {
    const answer = await api.call('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`);
    if (answer.status === 200) return (answer.body as Deployment).spec.template.spec;
    return answer.status === 404
      ? `deployment ${deployment} does not exist`
      : `deployment ${deployment} could not be read: HTTP ${answer.status}`;
  };
  const { failures, environment, spec } = await resolvePod(api, namespace, find, signal);
  if (failures.length > 0 || spec === undefined) return notStarted(failures);
  return runCheck({
    projectFolder: root,
    environment,
    databaseAddress: `127.0.0.1:${databasePort}`,
    databaseAuthority: await mountedFile(api, namespace, spec, environment.DB_SSLROOTCERT),
    signal,
  });
}

/** Sets up the roles and databases in the pod's environment, like `set-up.sh` in a real pod. */
async function setUp({ api, pod, databasePort, signal }: Work): Promise<Result> {
  const { metadata, spec } = pod;
  const { failures, environment } = await resolvePod(api, metadata.namespace, async () => spec, signal);
  if (failures.length > 0) return notStarted(failures);
  const { PGHOST = '', PGUSER = '', PGPASSWORD = '', PGDATABASE = '', DATABASE_ROLES = '' } = environment;
  const authority = await mountedFile(api, metadata.namespace, spec, environment.PGSSLROOTCERT);
  const identity = { authority: authority ?? '', name: PGHOST };
  const server = { host: '127.0.0.1', port: databasePort, identity };
  const login = { ...server, user: PGUSER, password: PGPASSWORD, database: PGDATABASE };
  try {
    const databases = await setUpDatabases((use) => use(login), DATABASE_ROLES);
    return { ok: true, lines: [`ok database roles: ${databases.join(' ')}`] };
  } catch (error) {
    return { ok: false, lines: [`FAILED database roles: ${(error as Error).message}`] };
  }
}

function log(pod: Pod | undefined, text: string): void {
  const about = pod === undefined ? '' : ` ${pod.metadata.namespace}/${pod.metadata.name}`;
  process.stdout.write(`${new Date().toISOString()}${about} ${text}\n`);
}

await main(process.argv[2] ?? '');
