import { providerOf } from '../cluster/providers.ts';
import { poll } from '../ground/poll.ts';
import { type InNamespace, kubectl, kubectlList } from '../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Settings } from '../settings/context.ts';

/** A Deployment with the password in its pods' environment, which only a restart updates. */
export type Consumer = {
  readonly namespace: string;
  readonly name: string;
  readonly release: string;
  /** Incremented by every change of its spec, including a restart. */
  readonly generation: number;
};

type Deployment = InNamespace & { readonly metadata: { readonly generation: number } };

type DatabaseSecrets = {
  readonly [name: string]: { readonly namespace: string; readonly user: string } | null;
};

/** Reloader restarts workloads whose annotation names a changed Secret. */
const annotation = 'secret.reloader.stakater.com/reload';

/** Secrets of the release devops that contain a login of these roles. */
export function consumerSecrets({ database, releases }: Settings, roles: readonly string[]) {
  const { devops } = (releases ?? {}) as { devops?: { databaseSecrets?: DatabaseSecrets } };
  // Those that environments/values.yaml.gotmpl gives it, one for each application with a password.
  const ofApplications = Object.entries(database.applications).flatMap(([user, role]) =>
    role?.password ? [[`${user}-back-database`, { namespace: 'backend', user }] as const] : [],
  );
  const all: DatabaseSecrets = { ...Object.fromEntries(ofApplications), ...devops?.databaseSecrets };
  return Object.entries(all).flatMap(([name, secret]) =>
    secret !== null && roles.includes(secret.user) ? [{ name, namespace: secret.namespace }] : [],
  );
}

/** Deployments that log in as these roles with a Secret of the release devops. */
export async function consumersOf(context: Context, roles: readonly string[]): Promise<readonly Consumer[]> {
  const { settings } = context;
  const secrets = consumerSecrets(settings, roles);
  const found = await Promise.all(
    [...new Set(secrets.map(({ namespace }) => namespace))].map((namespace) =>
      kubectlList<Deployment>(context, 'get', 'deployments', '-n', namespace),
    ),
  );
  return found.flat().flatMap(({ metadata: { name, namespace, generation, labels, annotations } }) => {
    const named = (annotations?.[annotation] ?? '').split(',').map((secret) => secret.trim());
    const uses = secrets.some((secret) => secret.namespace === namespace && named.includes(secret.name));
    return uses
      ? [{ name, namespace, generation, release: labels?.['app.kubernetes.io/instance'] ?? name }]
      : [];
  });
}

/** Milliseconds for Reloader to notice a changed Secret. */
const reloaderMs = 15_000;

/**
 * Waits until Reloader has restarted these Deployments and they are rolled out; restarts what Reloader does not (if
 * simulated). `seen` is the state before their Secrets changed.
 */
export async function ensureRestarted(context: EnvironmentContext, seen: readonly Consumer[]): Promise<void> {
  const { environment } = context;
  const $ = context.$({ quiet: true });
  const deadline = Date.now() + (providerOf(environment).simulatedPods ? 0 : reloaderMs);
  for (const { name, namespace, generation } of seen) {
    const deployment = [...kubectl(environment), '-n', namespace];
    const isRestarted = async () => {
      const { stdout } = await $`${deployment} get deployment ${name} -o jsonpath={.metadata.generation}`;
      return Number(stdout) > generation ? true : undefined;
    };
    if ((await poll(isRestarted, deadline - Date.now(), context.signal)) === undefined)
      await $`${deployment} rollout restart deployment ${name}`;
    await $`${deployment} rollout status deployment ${name} --timeout 300s`;
    context.log(`restarted ${name}`);
  }
}
