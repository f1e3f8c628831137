import { createInterface } from 'node:readline';
import { type Environment, shellOf } from './environment.ts';
import { type Command, type Shell, type TaskContext, TaskError } from './runner/runner.ts';
import { shellWords } from './shell-words.ts';

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

/** Parsed `-o json` of a kubectl command. Throws `TaskError` when it fails. */
export async function kubectlJson<Result>(
  $: Shell,
  environment: Environment,
  ...args: string[]
): Promise<Result> {
  const output = await $({ quiet: true })`${kubectl(environment)} ${args} -o json`;
  return JSON.parse(output.stdout) as Result;
}

export type Connection = { readonly host: string; readonly port: number };

/**
 * Calls `use` with a loopback address that leads to a port of a Service or pod for as long as it runs, by `kubectl port-forward`.
 * Throws `TaskError` when no pod answers behind it.
 */
export async function withPortForward<Result>(
  context: Pick<TaskContext, '$' | 'options'>,
  environment: Environment,
  target: { readonly namespace: string; readonly resource: string; readonly port: number },
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const { namespace, resource, port } = target;
  const $ = await shellOf(context);
  const forward = $({
    quiet: true,
    nothrow: true,
  })`exec ${kubectl(environment)} -n ${namespace} port-forward ${resource} ${`:${port}`} --address 127.0.0.1`;
  try {
    const local = await new Promise<number>((resolve, reject) => {
      createInterface({ input: forward.stdout }).on('line', (line) => {
        const match = /^Forwarding from 127\.0\.0\.1:(\d+) /.exec(line);
        if (match) resolve(Number(match[1]));
      });
      forward.then((output) =>
        reject(
          new TaskError({
            what: `${resource} of the namespace ${namespace} cannot be reached`,
            why: output.stderr.trim().split('\n').at(-1) ?? '',
            advice: `see: ${kubectlText(environment)} -n ${namespace} get pods`,
          }),
        ),
      );
    });
    return await use({ host: '127.0.0.1', port: local });
  } finally {
    await endCommand(forward);
  }
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
