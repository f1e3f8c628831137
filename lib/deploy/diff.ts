import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { renderingFailure } from '../helm/failure.ts';
import {
  callHelmfile,
  declaredReleases,
  type Release,
  type Selection,
  selector,
  splitLeftOut,
} from '../helm/helmfile.ts';
import { type AppliedObject, manifestObjects } from '../helm/live-objects.ts';
import { hasPlugin } from '../helm/plugins.ts';
import { deployedReleases } from '../helm/releases.ts';
import { render } from '../helm/render.ts';
import { adviceFor } from '../kubernetes/advice.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import type { Context, ShellContext } from '../settings/context.ts';
import { reasonOf } from '../tools/tool-answer.ts';

/**
 * Prints what an install would change, and manual changes since the last one. Uses `helmfile diff` if helm has the
 * plugin `diff`; otherwise `kubectl diff --server-side` on the rendered objects. Both hide secret values.
 */
export async function diff(context: Context, selection: Selection): Promise<void> {
  const deployed = await deployedReleases(context, ({ message, advice }) =>
    context.print(`${message}; ${advice}`),
  );
  const { environment, settings } = context;
  const usesPlugin = await hasPlugin(context, 'diff');
  const declared = await declaredReleases(environment.root, selection, usesPlugin ? 'alone' : 'with-needs');
  const { installed: releases, leftOut } = splitLeftOut(settings, declared);
  for (const { id, name } of leftOut)
    if (deployed.has(id))
      context.print(`${name}: would be removed, since releases.${name}.installed is false`);
  if (releases.length === 0) return;
  if (usesPlugin) {
    await tellDrift(context, releases, deployed, context.print);
    return diffByPlugin(context, selection, releases);
  }
  const drifts = await tellDrift(context, releases, deployed, context.print);
  const rendered = await render(context, releases);
  for (const release of releases) {
    const objects = await objectsOf(rendered.get(release.name) ?? [], release);
    context.print(
      deployed.has(release.id)
        ? await compare(context, release, objects.map(drifts.get(release.name)?.asKept ?? ((same) => same)))
        : announce(release, objects),
    );
  }
}

async function diffByPlugin(
  context: Context,
  selection: Selection,
  releases: readonly Release[],
): Promise<void> {
  const words = [...selector(selection), 'diff', '--suppress-secrets', ...context.passThrough];
  const output = await callHelmfile(context, words, (error, stderr) =>
    renderingFailure(error, stderr, releases, 'comparing', context.environment.name),
  );
  context.print(output.stdout.trimEnd() || 'no difference');
}

/** Objects in rendered files, except hooks, which every install recreates. */
async function objectsOf(texts: readonly string[], release: Release): Promise<AppliedObject[]> {
  const objects = (await Promise.all(texts.map((text) => manifestObjects(text, release)))).flat();
  return objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined);
}

async function compare(
  { $, environment }: ShellContext,
  release: Release,
  items: readonly AppliedObject[],
): Promise<string> {
  const same = `${release.name}: no difference`;
  if (items.length === 0) return same;
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const words = ['diff', '--server-side', '--force-conflicts', '--field-manager', 'helm', '-f', '-'];
  const output = await $({ quiet: true, nothrow: true, input })`${kubectl(environment)} ${words}`;
  // kubectl exits with 0 for no difference and 1 for printed ones; higher is an error.
  const text = output.stdout.trimEnd();
  if (output.exitCode === 0) return same;
  if (output.exitCode === 1 && text !== '') return `${release.name}:\n${text}`;
  const why = reasonOf(output);
  throw new TaskError({
    what: `comparing ${release.name} failed`,
    why,
    advice: adviceFor(why) ?? `check the cluster with ${taskCommand('status')}`,
  });
}

const announce = ({ name }: Release, objects: readonly AppliedObject[]): string =>
  [`${name}: would be installed`, ...objects.map(({ kind, metadata }) => `+ ${kind} ${metadata.name}`)].join(
    '\n',
  );
