import { type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { secretFailure } from '../secrets/sops.ts';
import type { Context } from '../settings/context.ts';
import { helmfileCommand } from './helmfile.ts';

/**
 * Runs helmfile. Throws the error of an encrypted file that explains a failure, otherwise what `explain` returns for
 * the failure and helmfile's stderr.
 */
export async function callHelmfile(
  context: Context,
  words: readonly string[],
  explain: (error: TaskError, stderr: string) => TaskError | Promise<TaskError>,
  quiet = true,
): Promise<CommandOutput> {
  const running = context.$({ quiet })`${await helmfileCommand(context)} --quiet ${words}`;
  let stderr = '';
  running.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  try {
    return await running;
  } catch (error) {
    if (context.signal.aborted || !(error instanceof TaskError)) throw error;
    const secret = await secretFailure(context, error);
    throw secret === error ? await explain(error, stderr) : secret;
  }
}
