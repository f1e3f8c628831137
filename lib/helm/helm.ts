import { TaskError } from '@k8s-deployment/runner';
import { throwAdvised } from '../kubernetes/advice.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { parseAnswer } from '../tools/tool-answer.ts';
import { findTool } from '../tools/tools.ts';
import type { Release } from './helmfile.ts';

/** helm's words in a namespace, with the environment's kubeconfig and context. */
export const helmCommand = ({ kubeconfig, context }: Environment, namespace: string): readonly string[] => [
  ...['helm', '--kubeconfig', kubeconfig, '--kube-context', context],
  ...['--namespace', namespace],
];

/**
 * Helm 4's options to take back fields that others have set, which are conflicts in server-side apply, its
 * default. They switch a release of Helm 3 to server-side apply.
 */
export const takeBack = ['--force-conflicts', '--server-side=true'] as const;

/** True if the installed helm is Helm 3, which compares on the client and has no such options. */
export const isHelm3 = async (): Promise<boolean> =>
  (await findTool('helm'))?.version.startsWith('3.') ?? false;

type Revision = { readonly revision: number; readonly status: string };

/**
 * The newest revision that was in service, or undefined; helm's "previous revision" may have failed. `beforeCurrent`
 * skips the present one. Throws `TaskError` if helm does not list revisions.
 */
export async function lastGoodRevision(
  { $, environment }: ShellContext,
  release: Pick<Release, 'name' | 'namespace' | 'timeout'>,
  beforeCurrent: boolean,
): Promise<number | undefined> {
  const output = await $({
    quiet: true,
  })`${helmCommand(environment, release.namespace)} history ${release.name} -o json`;
  const revisions = parseAnswer<readonly Revision[]>(`helm history ${release.name}`, output);
  if (revisions.length === 0) {
    throw new TaskError({
      what: `helm lists no revision of ${release.name}`,
      why: 'the cluster has at least one',
      advice: 'run again',
    });
  }
  const good = beforeCurrent ? ['superseded'] : ['superseded', 'deployed'];
  return revisions.filter(({ status }) => good.includes(status)).at(-1)?.revision;
}

/** helm's arguments to roll a release back, by default to the previous revision. */
export const rollbackWords = (
  { name, timeout }: Pick<Release, 'name' | 'timeout'>,
  revision: number | undefined,
  options: readonly string[],
): readonly string[] => [
  ...['rollback', name, ...(revision === undefined ? [] : [String(revision)])],
  ...['--wait', '--timeout', `${timeout}s`, ...options],
];

/** Rolls a release back and waits until it is in service. */
export async function rollBack(
  { $, environment }: ShellContext,
  release: Pick<Release, 'name' | 'namespace' | 'timeout'>,
  revision: number,
): Promise<void> {
  const words = rollbackWords(release, revision, (await isHelm3()) ? [] : takeBack);
  await $`${helmCommand(environment, release.namespace)} ${words}`.catch(throwAdvised);
}
