import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../ground/launcher.ts';
import { tellDrift } from '../helm/changed-releases.ts';
import { renderingFailure } from '../helm/failure.ts';
import { declaredReleases, helmfile, type Release, withNeeds } from '../helm/helmfile.ts';
import { type ManifestObject, manifestObjects, withMarks } from '../helm/manifest-objects.ts';
import { deployedReleases, render } from '../helm/releases.ts';
import { adviceFor } from '../kubernetes/advice.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import { TaskError } from '../runner/runner.ts';
import type { Context } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { reasonOf } from '../tools/tool-answer.ts';
import { type Selection, selector, selectsRelease } from './selection.ts';

/**
 * What an install would change, on stdout, and who has changed what since the last one. With helm's plugin `diff` that is `helmfile diff`; without it the rendered
 * objects are compared by `kubectl diff --server-side`. Both leave secret values out.
 */
export async function diff(context: Context, selection: Selection): Promise<void> {
  const { environment, $ } = context;
  const deployed = await deployedReleases(context, ({ message, advice }) =>
    context.print(`${message}; ${advice}`),
  );
  const needed = withNeeds(await declaredReleases(), selectsRelease(selection));
  if (await hasDiffPlugin(environment)) {
    const releases = needed.filter(selectsRelease(selection));
    await tellDrift(context, releases, deployed, context.print);
    const words = await helmfile(
      context,
      '--quiet',
      ...selector(selection),
      'diff',
      '--suppress-secrets',
      ...context.passThrough,
    );
    const running = $({ quiet: true })`${words}`;
    let said = '';
    running.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const output = await running.catch((error: unknown) => {
      throw renderingFailure(error, said, releases, 'the comparison of', environment.name);
    });
    context.print(output.stdout.trimEnd() || 'no difference');
    return;
  }
  const drifts = await tellDrift(context, needed, deployed, context.print);
  const folder = await mkdtemp(join(environment.state, 'diff-'));
  context.onRunEnd(() => rm(folder, { recursive: true, force: true }));
  try {
    await render(context, needed, folder);
    for (const release of needed) {
      const known = deployed.some(
        ({ name, namespace }) => name === release.name && namespace === release.namespace,
      );
      context.print(
        known
          ? await compare(context, release, folder, drifts.get(release.name)?.autoscaled)
          : await announce(release, folder),
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const hasDiffPlugin = async ({ state }: Environment): Promise<boolean> => {
  const names = await readdir(join(state, 'helm', 'data', 'plugins')).catch(() => []);
  return names.some((name) => name.includes('diff'));
};

/** The objects of a release without its hooks, which an install makes anew each time. */
async function objects(release: Release, folder: string): Promise<ManifestObject[]> {
  const files = await readdir(join(folder, release.name), { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8'));
  const objects = await Promise.all(texts.map(async (text) => manifestObjects(await text)));
  return objects.flat().filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined);
}

async function compare(
  context: Context,
  release: Release,
  folder: string,
  autoscaled: ReadonlyMap<string, number> = new Map(),
): Promise<string> {
  const items = (await objects(release, folder)).map((object) => {
    const replicas = autoscaled.get(object.metadata.name);
    const scaled = replicas !== undefined && object.spec?.replicas !== undefined;
    return withMarks(scaled ? { ...object, spec: { ...object.spec, replicas } } : object, release);
  });
  // With `-n` kubectl refuses what names another namespace (devops has such objects); without it, what names none would
  // be looked for in `default`.
  const named = items.filter(({ metadata }) => metadata.namespace !== undefined);
  const others = items.filter(({ metadata }) => metadata.namespace === undefined);
  const differences = [
    await differenceOf(context, release, named, []),
    await differenceOf(context, release, others, ['-n', release.namespace]),
  ].filter((text) => text !== '');
  return differences.length === 0
    ? `${release.name}: no difference`
    : `${release.name}:\n${differences.join('\n')}`;
}

async function differenceOf(
  context: Context,
  release: Release,
  items: readonly ManifestObject[],
  namespace: readonly string[],
): Promise<string> {
  const { $, environment } = context;
  if (items.length === 0) return '';
  const output = await $({
    quiet: true,
    nothrow: true,
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })`${kubectl(environment)} ${namespace} diff --server-side --force-conflicts --field-manager helm -f -`;
  // kubectl: 0 no difference, 1 differences, more than that an error. Differences are printed.
  const text = output.stdout.trimEnd();
  if (output.exitCode === 0 || (output.exitCode === 1 && text !== '')) return text;
  const why = reasonOf(output);
  throw new TaskError({
    what: `${release.name} cannot be compared`,
    why,
    advice: adviceFor(why) ?? `check the cluster with ${taskCommand('status')}`,
  });
}

async function announce(release: Release, folder: string): Promise<string> {
  const made = (await objects(release, folder)).map(({ kind, metadata }) => `+ ${kind} ${metadata.name}`);
  return `${release.name}: would be installed\n${made.join('\n')}`;
}
