import type { Environment } from './environment.ts';
import type { Release } from './helmfile.ts';
import { type Shell, TaskError } from './runner/runner.ts';
import { parseAnswer } from './tool-answer.ts';

/** `helm` with the environment's kubeconfig and context, in the namespace of a release. */
export const helm = (environment: Environment, release: Pick<Release, 'namespace'>): readonly string[] => [
  'helm',
  ...['--kubeconfig', environment.kubeconfig, '--kube-context', environment.context],
  ...['--namespace', release.namespace],
];

type Revision = { readonly revision: number; readonly status: string };

/**
 * The newest revision that was once in service, or undefined when there is none. A failed one is not, though helm's own
 * "the one before" takes it; neither is, with `beforeCurrent`, the one that is in service now. Throws `TaskError` when helm does not
 * tell the revisions.
 */
export async function lastGoodRevision(
  $: Shell,
  environment: Environment,
  release: Release,
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
  $: Shell,
  environment: Environment,
  release: Release,
  revision: number,
): Promise<void> {
  const limit = `${release.timeout}s`;
  await $`${helm(environment, release)} rollback ${release.name} ${revision} --wait --timeout ${limit}`;
}
