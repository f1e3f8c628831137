import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileDigest, filesBelow } from '../ground/file-digest.ts';
import { checkLineEnds } from '../ground/line-ends.ts';
import type { Context, InEnvironment, Target } from '../settings/context.ts';
import { writeStateFile } from '../settings/environment.ts';
import { settingsFiles } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import { chartArguments } from './chart-places.ts';
import type { Release } from './helmfile.ts';
import { digestOf } from './releases.ts';
import { render } from './render.ts';

/** Digests of releases as an install would write them now, by name. */
export type RenderedDigests = {
  /** The digest of everything that they are rendered from. */
  readonly inputs: string;
  readonly known: Map<string, string>;
};

type Stored = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const file = 'rendered.json';

/**
 * The digests that an earlier run found for the same charts, settings, encrypted secrets, helm and helmfile: comparing those takes
 * milliseconds, rendering half a second. A damaged file counts as none. Throws `TaskError` for a chart with Windows line ends.
 */
export async function recallDigests({ environment, settings }: Target): Promise<RenderedDigests> {
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
    ...['ca.crt', 'postgresql.crt'].map((file) => `.state/${name}/certificates/${file}`),
  ];
  const programs = await Promise.all([findTool('helm'), findTool('helmfile')]);
  const inputs = await fileDigest(
    root,
    files,
    'digests with and without replicas',
    // The path of a tool's chart contains its version.
    ...(await chartArguments(settings)),
    ...programs.map((program) => `${program?.path} ${program?.version}`),
  );
  try {
    const stored = JSON.parse(await readFile(join(environment.state, file), 'utf8')) as Stored;
    return { inputs, known: new Map(stored.inputs === inputs ? Object.entries(stored.digests) : []) };
  } catch {
    return { inputs, known: new Map() };
  }
}

/** Renders these releases, unless the digest of each is known. */
export async function completeDigests(
  context: Context,
  releases: readonly Release[],
  digests: RenderedDigests,
): Promise<void> {
  if (releases.every(({ name }) => digests.known.has(name))) return;
  for (const [name, texts] of await render(context, releases)) digests.known.set(name, digestOf(texts));
  await rememberDigests(context, digests);
}

/** Stores the digests for the next run. */
export const rememberDigests = (
  { environment }: InEnvironment,
  { inputs, known }: RenderedDigests,
): Promise<void> => writeStateFile(environment, file, { inputs, digests: Object.fromEntries(known) });
