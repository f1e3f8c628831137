import { type Command, type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import type { Environment, EnvironmentContext, ShellContext } from '../settings/context.ts';
import { noAnswer, parseAnswer } from '../tools/tool-answer.ts';
import { throwAdvised } from './advice.ts';

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

type Condition = { readonly type: string; readonly status: string; readonly message?: string };

export type Texts = { readonly [name: string]: string };

/** An object in the cluster, with the metadata that the tasks use. */
export type Named = {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Texts;
    readonly annotations?: Texts;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
};

export type InNamespace = Named & { readonly metadata: { readonly namespace: string } };

/** A Secret or ConfigMap. */
export type WithData = InNamespace & { readonly data?: Texts };

export type WithConditions = Named & { readonly status?: { readonly conditions?: readonly Condition[] } };

/** Labels as the selector of `kubectl get -l`. */
export const labelSelector = (labels: object): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');

/** True if the condition's status is `True`. */
export const holds = (conditions: readonly Condition[] | undefined, wanted: string): boolean =>
  conditions?.some(({ type, status }) => type === wanted && status === 'True') ?? false;

/**
 * The items of kubectl's JSON list, or its only object, which kubectl prints without a list around it. Throws
 * `TaskError` for anything else and for the API server's `Status`.
 */
export function itemsOf<Item>(command: string, output: Pick<CommandOutput, 'stdout'>): readonly Item[] {
  const answer = parseAnswer<{
    readonly items?: readonly Item[];
    readonly metadata?: { readonly name?: string };
    readonly kind?: unknown;
    readonly message?: unknown;
    readonly code?: unknown;
  }>(command, output);
  if (Array.isArray(answer.items)) return answer.items;
  if (answer.kind === 'Status')
    throw new TaskError({
      what: `\`${command}\` failed`,
      why: String(answer.message || `the API server answered with ${answer.code ?? 'a failure'}`),
      advice: `check the cluster with ${taskCommand('status')}, then run again`,
    });
  if (answer.metadata?.name !== undefined) return [answer as Item];
  throw noAnswer(command, 'the output of kubectl is not a list: it has no `items`');
}

/** Runs kubectl and parses the items of its `-o json`. Throws `TaskError` if it fails or prints something else. */
export async function kubectlList<Item>(
  { $, environment }: ShellContext,
  ...args: readonly string[]
): Promise<readonly Item[]> {
  const output = await $({ quiet: true })`${kubectl(environment)} ${args} -o json`.catch(throwAdvised);
  return itemsOf(`kubectl ${args.join(' ')} -o json`, output);
}

/** Objects as the input of kubectl. */
export const listOf = (items: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

/** Applies objects on the server's side; what they contain is not in the command line. */
export const applyObjects = (
  { $, environment }: ShellContext,
  items: readonly object[],
  ...options: readonly string[]
): Command =>
  $({ quiet: true, input: listOf(items) })`${kubectl(environment)} apply --server-side ${options} -f -`;

/** The version of the API server, if it answers with one. Throws `TaskError` if kubectl fails. */
export async function serverVersion({ $, environment }: ShellContext) {
  const output = await $({ quiet: true })`${kubectl(environment)} version -o json`.catch(throwAdvised);
  type Version = { readonly serverVersion?: { readonly gitVersion: string; readonly minor: string } };
  return parseAnswer<Version>('kubectl version -o json', output).serverVersion;
}

/** Ends a command (with `nothrow`) and its process group and waits for it. */
export async function endCommand(command: Command): Promise<void> {
  try {
    if (command.pid !== undefined) process.kill(-command.pid, 'SIGTERM');
  } catch {
    // Already ended.
  }
  await command;
}

/** The names of the cluster's CustomResourceDefinitions that match. Throws `TaskError` if kubectl fails. */
export async function installedTypes(context: ShellContext, pattern: RegExp): Promise<readonly string[]> {
  const types = await kubectlList<Named>(context, 'get', 'crd');
  return types.map(({ metadata }) => metadata.name).filter((name) => pattern.test(name));
}

/**
 * Deletes the types of `owner` that match and were not there `before`, with their objects in `namespace`. Objects in
 * other namespaces may belong to others, and would be deleted with their type: then all stay.
 */
export async function removeTypes(
  context: EnvironmentContext,
  pattern: RegExp,
  owner: string,
  before: readonly string[] = [],
  namespace?: string,
): Promise<void> {
  const { $, environment } = context;
  const own = (await installedTypes(context, pattern)).filter((name) => !before.includes(name));
  if (own.length === 0) return;
  const objects = await kubectlList<Named>(context, 'get', own.join(','), '--all-namespaces');
  const isUsed = objects.some(({ metadata }) => namespace === undefined || metadata.namespace !== namespace);
  if (isUsed) context.log(`the types of ${owner} stay: other namespaces use them`);
  else await $`${kubectl(environment)} delete crd ${own} --ignore-not-found`;
}
