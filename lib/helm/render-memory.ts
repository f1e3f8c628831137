import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileDigest, filesBelow } from '../ground/file-digest.ts';
import { checkLineEnds } from '../ground/line-ends.ts';
import { root } from '../ground/project.ts';
import type { Target } from '../settings/context.ts';
import { type Environment, writeWhole } from '../settings/environment.ts';
import { settingsFiles } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import { chartArguments } from './chart-places.ts';

/** Digests of rendered releases by name, and of everything that they were rendered from. */
type Memory = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const path = (state: string): string => join(state, 'rendered.json');

/**
 * Returns a digest of everything that decides what releases render to: the sources, the settings, the encrypted secrets, helm and
 * helmfile themselves. Rendering again takes half a second, this a few milliseconds. Throws `TaskError` for a chart with Windows line ends.
 */
export async function renderInputs({ environment, settings }: Target): Promise<string> {
  const charts = await filesBelow('charts');
  checkLineEnds(
    await Promise.all(charts.map(async (path) => ({ path, text: await readFile(join(root, path)) }))),
  );
  const files = [
    'helmfile.yaml',
    'environments/values.yaml.gotmpl',
    ...(await settingsFiles(environment.name, environment.provider, environment.root)),
    ...(await filesBelow(`environments/${environment.name}/secrets`)),
    ...charts,
    // The key goes with its certificate.
    ...['ca.crt', 'postgresql.crt'].map((file) => `.state/${environment.name}/certificates/${file}`),
  ];
  const programs = await Promise.all([findTool('helm'), findTool('helmfile')]);
  return fileDigest(
    files,
    'digests with and without replicas',
    // A tool's chart goes by its path, which names the version.
    ...(await chartArguments(settings)),
    ...programs.map((program) => `${program?.path} ${program?.version}`),
  );
}

/** What the same inputs gave before, or nothing. */
export async function recallRendered(
  { state }: Environment,
  inputs: string,
): Promise<ReadonlyMap<string, string>> {
  try {
    const memory = JSON.parse(await readFile(path(state), 'utf8')) as Memory;
    return new Map(memory.inputs === inputs ? Object.entries(memory.digests) : []);
  } catch {
    return new Map(); // None yet, or damaged: it is only a memory.
  }
}

/** Keeps digests for the next run, beside those that the same inputs gave before. */
export async function rememberRendered(
  environment: Environment,
  inputs: string,
  digests: ReadonlyMap<string, string>,
): Promise<void> {
  const known = await recallRendered(environment, inputs);
  const memory: Memory = { inputs, digests: Object.fromEntries([...known, ...digests]) };
  await writeWhole(path(environment.state), `${JSON.stringify(memory, null, 2)}\n`);
}
