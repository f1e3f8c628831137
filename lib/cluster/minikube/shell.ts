import { tmpdir } from 'node:os';
import { type CommandOutput, reasonIn, type Shell, TaskError } from '@k8s-deployment/runner';
import type { EnvironmentContext, ShellContext } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { endOf } from '../../tools/tool-answer.ts';

/** The shell for minikube with the user's TMPDIR, which has locks for files that all profiles share (pkg/util/lock). */
export async function minikubeShell(context: ShellContext): Promise<Shell> {
  const env = await processEnvironment(context.environment);
  return context.$({ env: { ...env, TMPDIR: tmpdir() }, cwd: context.environment.root });
}

/** Runs a minikube command. Throws `TaskError` with minikube's reason and suggestion. */
export async function runMinikube(context: EnvironmentContext, words: readonly string[]): Promise<void> {
  const $ = await minikubeShell(context);
  const output = await $({ nothrow: true })`minikube ${words}`;
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

/** Why minikube ended: its line "Exiting due to CODE: reason", as text or JSON event, or else its last line. */
export function reasonOf({ stdout, stderr, exitCode, signal }: CommandOutput): string {
  const said = `${stdout}\n${stderr}`;
  const reasons = said
    .split(/[\r\n]+/)
    .flatMap((line) => /Exiting due to (.+)/.exec(line)?.[1] ?? errorEvent(line) ?? []);
  return (
    reasons[0] ??
    reasonIn(said)
      ?.replace(/^[^\p{L}\d]+/u, '')
      .trim() ??
    endOf({ exitCode, signal })
  );
}

/** The reason in an error event of `--output json`; only the final event has a name. */
function errorEvent(line: string): string | undefined {
  if (!line.includes('"io.k8s.sigs.minikube.error"')) return undefined;
  try {
    const { data } = JSON.parse(line) as {
      readonly data: { readonly name?: string; readonly message: string };
    };
    return data.name === undefined ? undefined : `${data.name}: ${data.message}`;
  } catch {
    // minikube was killed while writing the line.
    return undefined;
  }
}

/** minikube's "Suggestion: …", if any. */
function suggestionOf({ stdout, stderr }: CommandOutput): string | undefined {
  return /Suggestion: (.+)/.exec(`${stderr}\n${stdout}`)?.[1]?.trim();
}
