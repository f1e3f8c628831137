import { TaskError } from '@k8s-deployment/runner';
import { kubectl } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { connectionAdvice } from './user-kubeconfig.ts';

/** Throws `TaskError` with kubectl's reason unless the API server answers within 15 s. */
export async function checkReachable(
  context: Pick<EnvironmentContext, '$' | 'log' | 'environment'>,
): Promise<void> {
  const { environment } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  const ready = await $`${kubectl(environment)} get --raw /readyz --request-timeout 15s`;
  if (ready.exitCode === 0) return;
  throw new TaskError({
    what: `the cluster of context \`${environment.context}\` does not answer`,
    // For a missing plugin, general hints of kubectl follow this line.
    why: /^Unable to connect to the server: .*/m.exec(ready.stderr)?.[0] ?? reasonOf(ready),
    advice: await connectionAdvice(context, ready.stderr),
  });
}
