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

/** Digests of rendered releases by name, with the digest of everything that they were rendered from. */
type Stored = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const file = 'rendered.json';

/**
 * A digest of everything that decides what releases render to: charts, settings, encrypted secrets, helm and helmfile. It takes
 * milliseconds, rendering half a second. Throws `TaskError` for a chart with Windows line ends.
 */
export async function renderInputs({ environment, settings }: Target): Promise<string> {
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
  return fileDigest(
    root,
    files,
    'digests with and without replicas',
    // The path of a tool's chart contains its version.
    ...(await chartArguments(settings)),
    ...programs.map((program) => `${program?.path} ${program?.version}`),
  );
}

/** The digest of each release as an install would write it now; `inputs` comes from `renderInputs`. */
export async function renderedDigests(
  context: Context,
  releases: readonly Release[],
  inputs: string,
): Promise<ReadonlyMap<string, string>> {
  const known = await recallDigests(context, inputs);
  if (releases.every(({ name }) => known.has(name))) return known;
  const rendered = await render(context, releases);
  const digests = new Map([...rendered].map(([name, texts]) => [name, digestOf(texts)]));
  await rememberDigests(context, inputs, digests);
  return digests;
}

/** The digests that an earlier run found for the same inputs. A damaged file counts as none. */
export async function recallDigests(
  { environment }: InEnvironment,
  inputs: string,
): Promise<ReadonlyMap<string, string>> {
  try {
    const stored = JSON.parse(await readFile(join(environment.state, file), 'utf8')) as Stored;
    return new Map(stored.inputs === inputs ? Object.entries(stored.digests) : []);
  } catch {
    return new Map();
  }
}

/** Stores digests for the next run, in addition to those known for the same inputs. */
export async function rememberDigests(
  context: InEnvironment,
  inputs: string,
  digests: ReadonlyMap<string, string>,
): Promise<void> {
  const known = await recallDigests(context, inputs);
  const stored: Stored = { inputs, digests: Object.fromEntries([...known, ...digests]) };
  await writeStateFile(context.environment, file, stored);
}
