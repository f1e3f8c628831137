import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { call } from '../../ingress/call.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { findTool } from '../../tools/tools.ts';
import { connectApi } from './api.ts';
import { applyManifests } from './apply.ts';
import { ensureService, inBackground } from './launch.ts';
import type { Ports } from './ports.ts';
import { waitForService } from './services.ts';
import { expectedPorts, requireState } from './state.ts';
import { missingTypes, typesOf, waitForTypes } from './types.ts';

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

const isReady = (ports: Ports) => (): Promise<boolean> => {
  const server = { address: '127.0.0.1', port: ports.operatorHealth };
  const origin = new URL(`http://${server.address}:${server.port}`);
  return call({ ...server, origin, path: '/readyz', timeoutMs: 2000 }).then(
    ({ status }) => status === 200,
    () => false,
  );
};

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
  const types = typesOf(manifests);
  const api = await connectApi(environment, ports.kubeApiserver);
  const apply = () => applyManifests(api, manifests.join('\n---\n'));
  const outcome = await ensureService(context, {
    name: 'vault-secrets-operator',
    ports: {
      'the operator (metrics)': ports.operatorMetrics,
      'the operator (health)': ports.operatorHealth,
    },
    ready: isReady(ports),
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
  await waitForService(context, 'vault-secrets-operator', isReady(ports));
}
