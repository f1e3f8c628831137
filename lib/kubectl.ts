import type { Environment } from './environment.ts';
import type { Command, Shell } from './runner/runner.ts';
import { shellWords } from './shell-words.ts';
import { parseAnswer } from './tool-answer.ts';

/** `kubectl` with the environment's kubeconfig and context: "the current context" is never used. */
export const kubectl = (environment: Environment): readonly string[] => [
  'kubectl',
  '--kubeconfig',
  environment.kubeconfig,
  '--context',
  environment.context,
];

/** The same as text, with paths relative to the project, for `--dry-run`. */
export const kubectlText = (environment: Environment): string =>
  shellWords([
    'kubectl',
    '--kubeconfig',
    `.state/${environment.name}/kubeconfig`,
    '--context',
    environment.context,
  ]);

/** `helm` in the same way. */
export const helmText = (environment: Environment): string =>
  shellWords([
    'helm',
    '--kubeconfig',
    `.state/${environment.name}/kubeconfig`,
    '--kube-context',
    environment.context,
  ]);

/** Parsed `-o json` of a kubectl command. Throws `TaskError` when it fails, or gives no JSON. */
export async function kubectlJson<Result>(
  $: Shell,
  environment: Environment,
  ...args: string[]
): Promise<Result> {
  const output = await $({ quiet: true })`${kubectl(environment)} ${args} -o json`;
  return parseAnswer<Result>(`kubectl ${args.join(' ')} -o json`, output);
}

/** Ends a command that runs until it is told to stop (`nothrow`), with its process group, and waits for it. */
export async function endCommand(command: Command): Promise<void> {
  try {
    if (command.pid !== undefined) process.kill(-command.pid, 'SIGTERM');
  } catch {
    // It has ended already.
  }
  await command;
}
