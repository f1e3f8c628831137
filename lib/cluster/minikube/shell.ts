import { tmpdir } from 'node:os';
import { type CommandOutput, reasonIn, type Shell, TaskError } from '@k8s-deployment/runner';
import { shellWords } from '../../ground/shell-words.ts';
import type { EnvironmentContext, ShellContext } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { endOf } from '../../tools/tool-answer.ts';
import { asEvents, followEvents, plainLine } from './events.ts';

/** The shell for minikube with the user's TMPDIR, which has locks for files that all profiles share (pkg/util/lock). */
export async function minikubeShell(context: ShellContext): Promise<Shell> {
  const env = await processEnvironment(context.environment);
  return context.$({ env: { ...env, TMPDIR: tmpdir() }, cwd: context.environment.root });
}

/**
 * Runs a minikube command. Throws `TaskError` with minikube's reason and suggestion. With the number of `nodes` that it
 * starts, its steps are the task's progress.
 */
export async function runMinikube(
  context: EnvironmentContext,
  words: readonly string[],
  nodes?: number,
): Promise<void> {
  const $ = await minikubeShell(context);
  const quiet = nodes !== undefined;
  const running = $({ nothrow: true, quiet })`minikube ${quiet ? [...words, ...asEvents] : words}`;
  if (nodes !== undefined) {
    // A quiet command is not logged.
    context.log(`$ ${shellWords(['minikube', ...words])}`);
    followEvents(running, nodes, context);
  }
  const output = await running;
  if (output.exitCode === 0) return;
  context.signal.throwIfAborted();
  throw new TaskError({
    what: `\`minikube ${words[0]}\` failed with exit code ${output.exitCode}`,
    why: reasonOf(output),
    advice: suggestionOf(output) ?? `\`minikube logs --profile ${profileOf(words)}\` shows more`,
    exitCode: output.exitCode,
  });
}

const profileOf = (words: readonly string[]): string => words[words.indexOf('--profile') + 1] ?? '';

/** What minikube printed, stdout first; events as text. */
const saidIn = (...streams: readonly string[]): string =>
  streams
    .join('\n')
    .split(/[\r\n]+/)
    .map(plainLine)
    .join('\n');

/** Why minikube ended: its line "Exiting due to CODE: reason", or else its last line. */
export function reasonOf({ stdout, stderr, exitCode, signal }: CommandOutput): string {
  const said = saidIn(stdout, stderr);
  return (
    /Exiting due to (.+)/.exec(said)?.[1] ??
    reasonIn(said)
      ?.replace(/^[^\p{L}\d]+/u, '')
      .trim() ??
    endOf({ exitCode, signal })
  );
}

/** minikube's "Suggestion: …", if any. */
function suggestionOf({ stdout, stderr }: CommandOutput): string | undefined {
  return /Suggestion: (.+)/.exec(saidIn(stderr, stdout))?.[1]?.trim();
}
