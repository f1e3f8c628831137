import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { declaredReleases, namesText, type Selection, selector, splitLeftOut } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import type { Context } from '../settings/context.ts';
import { testWords } from './commands.ts';
import { runHelmfile } from './run-helmfile.ts';

/** Runs the helm tests of the selected releases. Throws `TaskError` with the output of a failed check. */
export async function test(context: Context, selection: Selection): Promise<void> {
  const { environment, settings } = context;
  const declared = await declaredReleases(environment.root, selection);
  const { installed: releases } = splitLeftOut(settings, declared);
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
