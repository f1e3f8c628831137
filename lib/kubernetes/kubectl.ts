import { type Command, type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { noAnswer, parseAnswer } from '../tools/tool-answer.ts';
import { advised } from './advice.ts';

/** `kubectl` with the environment's kubeconfig and context; "the current context" is never used. */
export const kubectl = ({ context, kubeconfig }: Environment): readonly string[] => [
  'kubectl',
  '--kubeconfig',
  kubeconfig,
  '--context',
  context,
];

/** The same as a plain command, with paths relative to the project, for `--dry-run`. */
export const kubectlText = ({ context, name }: Environment): string =>
  shellWords(['kubectl', '--kubeconfig', `.state/${name}/kubeconfig`, '--context', context]);

/** The same for `helm`. */
export const helmText = ({ context, name }: Environment): string =>
  shellWords(['helm', '--kubeconfig', `.state/${name}/kubeconfig`, '--kube-context', context]);

export type Condition = { readonly type: string; readonly status: string; readonly message?: string };

/** True if the condition's status is `True`. */
export const holds = (conditions: readonly Condition[] | undefined, wanted: string): boolean =>
  conditions?.some(({ type, status }) => type === wanted && status === 'True') ?? false;

/** Parses kubectl's JSON. Throws `TaskError` for anything else and for the API server's `Status`. */
export function kubectlAnswer<Answer>(command: string, output: Pick<CommandOutput, 'stdout'>): Answer {
  const answer = parseAnswer<{ kind?: unknown; message?: unknown; code?: unknown }>(command, output);
  if (answer.kind !== 'Status') return answer as Answer;
  throw new TaskError({
    what: `\`${command}\` failed`,
    why: String(answer.message || `the API server answered with ${answer.code ?? 'a failure'}`),
    advice: `check the cluster with ${taskCommand('status')}, then run again`,
  });
}

/** The items of a list. Throws `TaskError` if there is no `items`. */
export function itemsOf<Item>(
  command: string,
  answer: { readonly items?: readonly Item[] },
): readonly Item[] {
  if (Array.isArray(answer.items)) return answer.items;
  throw noAnswer(command, 'the output of kubectl is not a list: it has no `items`');
}

/** Runs kubectl and parses its `-o json`. Throws `TaskError` if it fails or prints no JSON. */
export async function kubectlJson<Result>(
  { $, environment }: ShellContext,
  ...args: readonly string[]
): Promise<Result> {
  const output = await $({ quiet: true })`${kubectl(environment)} ${args} -o json`.catch((error: unknown) => {
    throw advised(error);
  });
  return kubectlAnswer<Result>(`kubectl ${args.join(' ')} -o json`, output);
}

/** The same for a list's items. */
export const kubectlList = async <Item>(
  context: ShellContext,
  ...args: readonly string[]
): Promise<readonly Item[]> =>
  itemsOf(
    `kubectl ${args.join(' ')} -o json`,
    await kubectlJson<{ items?: readonly Item[] }>(context, ...args),
  );

/** Ends a command (with `nothrow`) and its process group and waits for it. */
export async function endCommand(command: Command): Promise<void> {
  try {
    if (command.pid !== undefined) process.kill(-command.pid, 'SIGTERM');
  } catch {
    // Already ended.
  }
  await command;
}
