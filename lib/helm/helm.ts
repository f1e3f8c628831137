import { advised } from '../kubernetes/advice.ts';
import { TaskError } from '../runner/runner.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { parseAnswer } from '../tools/tool-answer.ts';
import { findTool } from '../tools/tools.ts';
import type { Release } from './helmfile.ts';

/** `helm` with the environment's kubeconfig and context, in the namespace of a release. */
export const helm = (
  { context, kubeconfig }: Environment,
  release: Pick<Release, 'namespace'>,
): readonly string[] => [
  'helm',
  ...['--kubeconfig', kubeconfig, '--kube-context', context],
  ...['--namespace', release.namespace],
];

/**
 * Words with which helm takes back fields that somebody else has set. Helm 4 applies on the server, where such a field is a conflict;
 * a release that Helm 3 made goes over to that, since only there the words mean something.
 */
export const takeBack = ['--force-conflicts', '--server-side=true'] as const;

/** The same for the helm that is used: Helm 3 compares by itself, asks nobody, and knows none of these words. */
export const takeBackIfKnown = async (): Promise<readonly string[]> =>
  (await findTool('helm'))?.version.startsWith('3.') ? [] : takeBack;

/** helmfile's words for an install with some of helm's. */
export const syncWords = (helmWords: readonly string[]): readonly string[] =>
  helmWords.length === 0 ? ['sync'] : ['sync', '--sync-args', helmWords.join(' ')];

type Revision = { readonly revision: number; readonly status: string };

/**
 * The newest revision that was once in service, or undefined when there is none. A failed one is not, though helm's own
 * "the one before" takes it; neither is, with `beforeCurrent`, the one that is in service now. Throws `TaskError` when helm does not
 * tell the revisions.
 */
export async function lastGoodRevision(
  { $, environment }: ShellContext,
  release: Pick<Release, 'name' | 'namespace' | 'timeout'>,
  beforeCurrent: boolean,
): Promise<number | undefined> {
  const output = await $({ quiet: true })`${helm(environment, release)} history ${release.name} -o json`;
  const revisions = parseAnswer<readonly Revision[]>(`helm history ${release.name}`, output);
  if (revisions.length === 0) {
    throw new TaskError({
      what: `helm knows no revision of ${release.name}`,
      why: 'the cluster has one: its history was not read whole',
      advice: 'run it again',
    });
  }
  const good = beforeCurrent ? ['superseded'] : ['superseded', 'deployed'];
  return revisions.filter(({ status }) => good.includes(status)).at(-1)?.revision;
}

/** Brings a release back to a revision and waits until it is in service. */
export async function rollBack(
  { $, environment }: ShellContext,
  release: Pick<Release, 'name' | 'namespace' | 'timeout'>,
  revision: number,
): Promise<void> {
  const limit = `${release.timeout}s`;
  const words = [release.name, revision, '--wait', '--timeout', limit, ...(await takeBackIfKnown())];
  await $`${helm(environment, release)} rollback ${words}`.catch((error: unknown) => {
    throw advised(error);
  });
}
