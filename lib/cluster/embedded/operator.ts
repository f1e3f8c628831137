import { join } from 'node:path';
import { type Environment, shellOf } from '../../environment.ts';
import { kubectl } from '../../kubectl.ts';
import type { TaskContext } from '../../runner/runner.ts';
import { findTool } from '../../tools/tools.ts';
import { answers, isUp, launchService } from './launch.ts';
import { requireState } from './state.ts';

export const operatorCommands = (environment: Environment): readonly string[] => {
  const state = `.state/${environment.name}`;
  return [
    `kubectl --kubeconfig ${state}/kubeconfig --context ${environment.context} apply --server-side -f "$(dirname "$(command -v vault-secrets-operator)")/crds"`,
    `OPERATOR_NAMESPACE=vault vault-secrets-operator --kubeconfig=${state}/kubeconfig`,
  ];
};

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
    command: [
      tool.path,
      `--kubeconfig=${environment.kubeconfig}`,
      '--leader-elect=false',
      '--client-cache-persistence-model=direct-encrypted',
      `--metrics-bind-address=127.0.0.1:${ports.operatorMetrics}`,
      `--health-probe-bind-address=127.0.0.1:${ports.operatorHealth}`,
    ],
    env: { OPERATOR_NAMESPACE: 'vault', OPERATOR_POD_NAME: 'vault-secrets-operator' },
    ports: { 'the operator (metrics)': ports.operatorMetrics, 'the operator (health)': ports.operatorHealth },
    ready,
  });
}
