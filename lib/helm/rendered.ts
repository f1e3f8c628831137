import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { checkPasswords } from '../database/roles.ts';
import { checkLineEnds, fileDigest, filesBelow } from '../ground/files.ts';
import { entriesBelow } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import type { Context, Target } from '../settings/context.ts';
import { runFolder, writeStateFile } from '../settings/environment.ts';
import { settingsFiles } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import { isDrift, tellDrift } from './drift.ts';
import { renderingFailure } from './failure.ts';
import { isUnfinished } from './helm.ts';
import { callHelmfile, helmfileCommand, type Release } from './helmfile.ts';
import { type Deployed, isSameExceptReplicas, manifestDigest } from './releases.ts';

const outputOptions = ['--output-dir-template', '{{ .OutputDir }}/{{ .Release.Name }}'] as const;

/**
 * The rendered files of each release, as an install would apply them. They contain secrets: on disk only while
 * helmfile runs, readable only by the user. `more` are options of `helmfile template`. Throws `TaskError` with helm's
 * message.
 */
export async function render(
  context: Context,
  releases: readonly Release[],
  more: readonly string[] = [],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = await mkdtemp(join(await runFolder(context.environment.state), 'rendered-'));
  try {
    await checkPasswords(context, releases);
    const selectors = releases.flatMap(({ name }) => ['-l', `name=${name}`]);
    const words = [...selectors, 'template', '--output-dir', folder, ...outputOptions, ...more];
    await callHelmfile(context, words, renderingFailure(context, releases, 'rendering'));
    const rendered = new Map<string, readonly string[]>();
    for (const { name } of releases) {
      // helmfile creates a folder for each release, even if nothing is rendered.
      const entries = await entriesBelow(join(folder, name));
      if (entries === undefined)
        throw new TaskError({
          what: `helmfile rendered nothing for ${name}`,
          why: 'it ended with exit code 0, but wrote no files',
          advice: `check which \`helmfile\` is used (${taskCommand('verify-dependencies')}), then run again; nothing was changed`,
        });
      rendered.set(name, await Promise.all(entries.map(({ path }) => readFile(path, 'utf8'))));
    }
    return rendered;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Digests of releases as an install would write them now. */
type RenderedDigests = {
  /** By name of the release. */
  readonly known: Map<string, string>;
  /** Stores them for the next run. */
  readonly save: () => Promise<void>;
};

type Stored = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const digestsFile = 'rendered.json';

/**
 * The digests that an earlier run found for the same charts, settings, encrypted secrets, helm and helmfile: comparing
 * those takes milliseconds, rendering half a second. A damaged file counts as none. Throws `TaskError` for a chart with
 * Windows line ends.
 */
export async function recallDigests(target: Target): Promise<RenderedDigests> {
  const { environment } = target;
  const { name, provider, root } = environment;
  const charts = await filesBelow(root, 'charts');
  checkLineEnds(
    await Promise.all(charts.map(async (path) => ({ path, text: await readFile(join(root, path)) }))),
  );
  const files = [
    'helmfile.yaml',
    'environments/values.yaml.gotmpl',
    ...(await settingsFiles(name, provider, root)),
    ...(await filesBelow(root, `environments/${name}/secrets`)),
    ...charts,
    // A key changes together with its certificate.
    ...['ca.crt', 'postgresql.crt', 'vault.crt'].map((file) => `.state/${name}/certificates/${file}`),
  ];
  const programs = await Promise.all([findTool('helm'), findTool('helmfile')]);
  const inputs = await fileDigest(
    root,
    files,
    'digests with and without replicas',
    // With the path of a tool's chart, which contains its version.
    ...(await helmfileCommand(target)),
    ...programs.map((program) => `${program?.path} ${program?.version}`),
  );
  const stored = await readFile(join(environment.state, digestsFile), 'utf8')
    .then((text): Stored => JSON.parse(text))
    .catch(() => undefined);
  const known = new Map(stored?.inputs === inputs ? Object.entries(stored.digests) : []);
  const save = () => writeStateFile(environment, digestsFile, { inputs, digests: Object.fromEntries(known) });
  return { known, save };
}

type Changed = {
  readonly changed: readonly Release[];
  readonly unchanged: readonly Release[];
  /** Unchanged ones with pods of an older revision, which helm does not replace. */
  readonly unfinished: readonly Release[];
  /** Replicas set by autoscalers, by release: an install keeps them. */
  readonly scaled: ReadonlyMap<string, number>;
};

/**
 * Releases that are not deployed, would render differently, or drifted in the cluster; all of them if helmfile gets
 * arguments. Logs manual changes.
 */
export async function findChanged(
  context: Context,
  releases: readonly Release[],
  deployed: Deployed,
  digests: RenderedDigests,
): Promise<Changed> {
  const statusOf = ({ id }: Release) => deployed.get(id)?.status ?? '';
  // A chart's fault has to be known before an unfinished release is repaired.
  const known = releases.filter((one) => statusOf(one) === 'deployed' || isUnfinished(statusOf(one)));
  const all = context.passThrough.length > 0;
  const isComplete = all || known.every(({ name }) => digests.known.has(name));
  const [drifts, rendered] = await Promise.all([
    tellDrift(context, releases, deployed, context.log),
    isComplete ? undefined : render(context, known),
  ]);
  for (const [name, texts] of rendered ?? []) digests.known.set(name, manifestDigest(texts));
  if (rendered) await digests.save();
  const scaled = new Map<string, number>();
  for (const { name, chart } of releases) {
    // An autoscaled workload is named like its release. `replicas` is a value of the project's own charts.
    const count = drifts.get(name)?.autoscaled.get(name);
    if (!count || !chart.startsWith('./')) continue;
    const values = await readFile(join(context.environment.root, chart, 'values.yaml'), 'utf8');
    if (/^replicas:/m.test(values)) scaled.set(name, count);
  }
  const isAsRendered = ({ id, name }: Release): boolean => {
    const digest = deployed.get(id)?.digest ?? '';
    const rendered = digests.known.get(name) ?? '';
    return digest === rendered || (scaled.has(name) && isSameExceptReplicas(digest, rendered));
  };
  const changed = releases.filter(
    (release) =>
      all || statusOf(release) !== 'deployed' || isDrift(drifts.get(release.name)) || !isAsRendered(release),
  );
  const unchanged = releases.filter((release) => !changed.includes(release));
  const unfinished = unchanged.filter(({ name }) => drifts.get(name)?.unfinished);
  return { changed, unchanged, unfinished, scaled };
}
