import { join } from 'node:path';
import { type Environment, shellOf } from '../../environment.ts';
import { kubectl, kubectlText } from '../../kubectl.ts';
import type { TaskContext } from '../../runner/runner.ts';
import { findTool } from '../../tools/tools.ts';
import { answers, inBackground, isUp, launchService } from './launch.ts';
import { expectedPorts, type Ports, requireState } from './state.ts';

/** The plain commands, for `--dry-run`. */
export async function operatorCommands(environment: Environment): Promise<readonly string[]> {
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

/** What the operator would be told about itself in a pod. */
const variablesOfPod = { OPERATOR_NAMESPACE: 'vault', OPERATOR_POD_NAME: 'vault-secrets-operator' };

/** Gives the API server the operator's types and starts the real Vault Secrets Operator against it. */
export async function ensureOperator(
  environment: Environment,
  context: TaskContext,
): Promise<'changed' | 'unchanged'> {
  const { ports } = await requireState(environment);
  const ready = () => answers(`http://127.0.0.1:${ports.operatorHealth}/readyz`);
  if (await isUp(environment, 'vault-secrets-operator', ready)) return 'unchanged';

  const tool = await findTool('vault-secrets-operator');
  if (!tool) throw new Error('the need for the tool vault-secrets-operator was not declared');
  const $ = await shellOf(context);
  await $({
    quiet: true,
  })`${kubectl(environment)} apply --server-side --force-conflicts -f ${join(tool.folder, 'crds')}`;
  return launchService(environment, context, {
    name: 'vault-secrets-operator',
    program: tool.path,
    command: [tool.path, ...operatorArguments(environment.kubeconfig, ports)],
    env: variablesOfPod,
    ports: { 'the operator (metrics)': ports.operatorMetrics, 'the operator (health)': ports.operatorHealth },
    ready,
  });
}
