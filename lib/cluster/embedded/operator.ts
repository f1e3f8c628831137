import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { poll } from '../../ground/poll.ts';
import { call } from '../../ingress/call.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { findTool } from '../../tools/tools.ts';
import { type Api, connectApi } from './api.ts';
import { applyManifests } from './apply.ts';
import type { Ports } from './ports.ts';
import { ensureService, inBackground } from './processes.ts';
import { waitForService } from './services.ts';
import { expectedPorts, requireState } from './state.ts';

/** The plain commands, for `--dry-run`. */
export async function operatorCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const words = operatorArguments(environment.kubeconfig, await expectedPorts(environment));
  const variables = Object.entries(variablesOfPod).map(([name, value]) => `${name}=${value}`);
  return [
    `${kubectlText(environment)} apply --server-side --force-conflicts -f "$(dirname "$(command -v vault-secrets-operator)")/crds"`,
    inBackground(environment, 'vault-secrets-operator', [...variables, 'vault-secrets-operator', ...words]),
  ];
}

const operatorArguments = (kubeconfig: string, ports: Ports): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  '--leader-elect=false',
  '--client-cache-persistence-model=direct-encrypted',
  `--metrics-bind-address=127.0.0.1:${ports.operatorMetrics}`,
  `--health-probe-bind-address=127.0.0.1:${ports.operatorHealth}`,
];

/** Variables that the operator's chart sets. */
const variablesOfPod = { OPERATOR_NAMESPACE: 'vault', OPERATOR_POD_NAME: 'vault-secrets-operator' };

async function isReady({ operatorHealth: port }: Ports): Promise<boolean> {
  const origin = new URL(`http://127.0.0.1:${port}`);
  const { status } = await call({ address: '127.0.0.1', port, origin, path: '/readyz', timeoutMs: 2000 });
  return status === 200;
}

/**
 * Applies the operator's types, even if it is running, and starts the real Vault Secrets Operator. Waits until the
 * API server serves the types, which releases need, but not for the operator. Throws `TaskError` if the types are not
 * served.
 */
export async function ensureOperator(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  const tool = await findTool('vault-secrets-operator');
  if (!tool) throw new Error('the need for the tool vault-secrets-operator was not declared');
  const folder = join(tool.folder, 'crds');
  const files = await readdir(folder);
  const manifests = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  // Such as secrets.hashicorp.com_vaultauths.yaml.
  const types = files.map((file) => file.replace(/^.*_|\.yaml$/g, ''));
  const api = await connectApi(environment, ports.kubeApiserver);
  const apply = () => applyManifests(api, manifests.join('\n---\n'));
  const outcome = await ensureService(context, {
    name: 'vault-secrets-operator',
    ports: {
      'the operator (metrics)': ports.operatorMetrics,
      'the operator (health)': ports.operatorHealth,
    },
    ready: () => isReady(ports),
    env: variablesOfPod,
    command: async () => {
      await apply();
      return [tool.path, ...operatorArguments(environment.kubeconfig, ports)];
    },
  });
  if (outcome === 'unchanged') {
    if ((await missingTypes(api, types)).length === 0) return 'unchanged';
    await apply();
  }
  // Last, since the API server establishes them while the operator starts.
  await waitForTypes(api, types, context.signal);
  return 'changed';
}

/** Waits until the operator is ready. Throws `TaskError` if it ends. */
export async function waitForOperator(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  await waitForService(context, 'vault-secrets-operator', () => isReady(ports));
}

/** The group and version of the operator's types, in which releases declare their objects. */
const group = 'secrets.hashicorp.com';
const discovery = `/apis/${group}/v1beta1`;

/**
 * Types, by plural, that the API server does not serve yet. Its discovery has a few hundred bytes per established type;
 * the definitions have hundreds of thousands.
 */
async function missingTypes(api: Api, types: readonly string[]): Promise<readonly string[]> {
  const { status, body } = await api.call('GET', discovery);
  if (status !== 200) return types;
  const served = (body as { resources: readonly { name: string }[] }).resources.map(({ name }) => name);
  return types.filter((type) => !served.includes(type));
}

/** Milliseconds until the touch, then to the failure. Establishing a type takes 0.1 s, on a busy machine 1 to 2 s. */
const patience = { touchMs: 3000, failMs: 17_000 };

/**
 * Waits until the API server serves applied types. A type applied right before the server ended stays "Installing"
 * for minutes, since a new server only establishes it after a change, which applying it again is not. Such a type
 * gets an annotation. Throws `TaskError` if one is still not served.
 */
export async function waitForTypes(
  api: Api,
  types: readonly string[],
  signal: AbortSignal,
  { touchMs, failMs } = patience,
): Promise<void> {
  let missing = types;
  const areServed = async (): Promise<true | undefined> => {
    missing = await missingTypes(api, types);
    return missing.length === 0 || undefined;
  };
  if (await poll(areServed, touchMs, signal)) return;
  await Promise.all(missing.map((type) => touch(api, type)));
  if (await poll(areServed, failMs, signal)) return;
  throw new TaskError({
    what: `the API server does not serve ${missing.map(nameOf).join(', ')}`,
    why: 'the types exist, but are not established',
    advice: 'run it again; see the log of kube-apiserver',
  });
}

const nameOf = (type: string): string => `${type}.${group}`;

async function touch(api: Api, type: string): Promise<void> {
  const annotations = { 'k8s-deployment/touched': new Date().toISOString() };
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${nameOf(type)}`;
  const options = { contentType: 'application/merge-patch+json' };
  // A refused patch shows later, as the type is not served.
  await api.call('PATCH', path, { metadata: { annotations } }, options);
}
