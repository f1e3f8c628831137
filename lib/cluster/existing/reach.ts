import { kubectl } from '../../kubernetes/kubectl.ts';
import { type TaskContext, TaskError } from '../../runner/runner.ts';
import { type Environment, shellOf } from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { connectionAdvice } from './user-kubeconfig.ts';

/** Throws `TaskError` with kubectl's reason when the API server does not answer within 15 s. */
export async function checkReachable(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options' | 'log'>,
): Promise<void> {
  const $ = (await shellOf(context))({ quiet: true, nothrow: true });
  const ready = await $`${kubectl(environment)} get --raw /readyz --request-timeout 15s`;
  if (ready.exitCode === 0) return;
  throw new TaskError({
    what: `the cluster of context \`${environment.context}\` does not answer`,
    // Of a plugin that is not there, general words of kubectl follow.
    why: /^Unable to connect to the server: .*/m.exec(ready.stderr)?.[0] ?? reasonOf(ready),
    advice: await connectionAdvice(environment, context, ready.stderr),
  });
}
