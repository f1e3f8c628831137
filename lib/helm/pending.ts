import { providerOf } from '../cluster/providers.ts';
import { TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { helm, lastGoodRevision, rollBack } from './helm.ts';
import type { Release as Declared } from './helmfile.ts';
import type { DeployedRelease } from './releases.ts';

type Release = Pick<Declared, 'name' | 'namespace' | 'timeout'>;

/** helm waits up to the time limit twice: for the objects, and for the hooks that the charts run after them. */
const waits = 2;

/**
 * A run that was killed leaves a release in `pending-*`, and helm then refuses every further change. It is repaired unless somebody
 * may still work on it. A cluster of this machine is reached from here only, so the helm at work would be among its processes;
 * elsewhere helm's time must have passed.
 */
export async function repairPending(
  context: EnvironmentContext,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
): Promise<void> {
  const { $, environment } = context;
  for (const { release, status } of await pendingReleases(environment, releases, deployed)) {
    context.log(`${release.name} was left ${status} by a run that was killed: repairing it`);
    const good = await lastGoodRevision(context, release, false);
    if (good !== undefined) await rollBack(context, release, good);
    else {
      const limit = `${release.timeout}s`;
      await $`${helm(environment, release)} uninstall ${release.name} --wait --timeout ${limit}`;
    }
  }
}

/** The releases that a killed helm left pending. Throws `TaskError` if somebody may still work on one of them. */
export async function pendingReleases(
  environment: Environment,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
): Promise<readonly { readonly release: Release; readonly status: string }[]> {
  const pending = releases.flatMap((release) =>
    deployed
      .filter(({ name, namespace }) => name === release.name && namespace === release.namespace)
      .filter(({ status }) => status.startsWith('pending-'))
      .map(({ status, updated }) => ({ release, status, updated })),
  );
  for (const { release, status, updated } of pending) {
    const what = `release ${release.name} is ${status}`;
    if (providerOf(environment).ownsCluster) {
      const pid = await helmAtWork(environment, release);
      if (pid === undefined) continue;
      throw new TaskError({
        what: `${what}: a helm is at work on it`,
        why: `it is process ${pid} of this machine`,
        advice: 'wait until it has ended, then run again',
      });
    }
    const limitSeconds = waits * release.timeout;
    const ageSeconds = (Date.now() - updated.getTime()) / 1000;
    // Where helm has noted no time, nobody can say that it has passed.
    if (ageSeconds >= limitSeconds) continue;
    throw new TaskError({
      what: `${what} since ${Number.isNaN(ageSeconds) ? 'an unknown time' : `${Math.round(ageSeconds)} s`}`,
      why: 'somebody else may be working on it: its time limit has not passed',
      advice: `wait until ${limitSeconds} s have passed, then run again: it is repaired then`,
    });
  }
  return pending;
}

/** The pid of a helm on this machine that works on the release, unless its words name another cluster. */
async function helmAtWork({ context }: Environment, release: Release): Promise<number | undefined> {
  const { commandLines } = await import('../ground/command-lines.ts');
  const found = (await commandLines()).find(
    ({ program, words }) =>
      /^helm\d?$/.test(program) &&
      words.includes(release.name) &&
      (!words.includes('--kube-context') || words.includes(context)),
  );
  return found?.pid;
}
