import { type ExecFileException, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseJson, TaskError } from '@k8s-deployment/runner';
import { taskCommand, taskLine } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { helmCommand, lastGood, refuseBusy, rollBack } from '../helm/helm.ts';
import {
  declaredRelease,
  declaredReleases,
  namesText,
  needingAny,
  type Selection,
  selector,
  selectReleases,
} from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import type { Context, EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { processEnvironment } from '../settings/environment.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { testWords, uninstallWords } from './commands.ts';
import { replaceOlderPods } from './replace-pods.ts';
import { runHelmfile } from './run-helmfile.ts';

/** Runs the helm tests of the selected releases. Throws `TaskError` with the output of a failed check. */
export async function test(context: Context, selection: Selection): Promise<void> {
  const { installed: releases } = await selectReleases(context, selection);
  if (releases.length === 0) return context.log('left out by the settings: nothing to test');
  const deployed = await deployedReleases(context);
  const missing = releases.filter(({ id }) => deployed.get(id)?.status !== 'deployed');
  if (missing.length > 0) {
    const { app } = selection;
    throw new TaskError({
      what: `not deployed: ${namesText(missing)}`,
      why: 'only a deployed release can be tested',
      advice: `run ${taskCommand(app === undefined ? 'install-all' : `install-app ${app}`)}`,
    });
  }
  await runHelmfile(context, 'testing', releases, [...selector(selection), ...testWords]);
}

/**
 * The revision to roll back to, by default the last good one; undefined if helm does not answer. Throws `TaskError` if
 * there is none. Needs no run, so that nothing is asked before.
 */
export async function wantedRevision(
  { environment }: InEnvironment,
  name: string,
  revision: number | undefined,
): Promise<number | undefined> {
  const { app, namespace } = await declaredRelease(environment.root, name);
  const [helm = '', ...words] = helmCommand(environment, namespace);
  const options = { env: await processEnvironment(environment), timeout: 10_000 };
  const asked = promisify(execFile)(helm, [...words, 'history', name, '-o', 'json'], options);
  const { stdout = '', stderr = '' } = await asked.catch((error: ExecFileException) => error);
  if (/release: not found/.test(stderr))
    throw new TaskError({
      what: `${name} is not installed`,
      why: 'the cluster has no revision of it',
      advice: `run ${taskCommand(`install-app ${app}`)}`,
    });
  const revisions = parseJson(stdout);
  if (!Array.isArray(revisions)) return undefined;
  const wanted = revision ?? lastGood(revisions);
  if (revisions.some((one) => one.revision === wanted)) return wanted;
  throw new TaskError({
    what: `${name} has no ${wanted === undefined ? 'earlier revision to roll back to' : `revision ${wanted}`}`,
    why: wanted === undefined ? 'only a revision that was once in service counts' : undefined,
    advice: `see: eval "$(${taskLine('env')})"; helm --namespace ${namespace} history ${name}`,
  });
}

/** Rolls a release back to a revision, by default the previous one that was in service. */
export async function rollBackRelease(
  context: EnvironmentContext,
  name: string,
  revision: number | undefined,
): Promise<void> {
  const release = await declaredRelease(context.environment.root, name);
  const deployed = await deployedReleases(context);
  await refuseBusy(context, [release], deployed);
  await tellDrift(context, [release], deployed, context.log);
  const wanted = await wantedRevision(context, name, revision);
  if (wanted === undefined) throw noAnswer(`helm history ${name}`);
  await rollBack(context, release, wanted, deployed.get(release.id));
  await replaceOlderPods(context, [release], await deployedReleases(context));
  context.report('changed');
}

/**
 * Uninstalls the selected releases and waits until their objects are gone; logs which others need them. Returns the
 * releases.
 */
export async function uninstall(context: Context, selection: { readonly app: string }) {
  const { root } = context.environment;
  const releases = await declaredReleases(root, selection);
  const deployed = await deployedReleases(context);
  await refuseBusy(context, releases, deployed);
  const needing = needingAny(await declaredReleases(root), releases).filter(({ id }) => deployed.has(id));
  if (needing.length > 0)
    context.log(`these installed releases need ${selection.app}: ${namesText(needing)}`);
  await runHelmfile(context, 'uninstalling', releases, [...selector(selection), ...uninstallWords]);
  return releases;
}
