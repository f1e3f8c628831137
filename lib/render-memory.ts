import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chartArguments } from './chart-places.ts';
import { type Environment, settingsOf, writeWhole } from './environment.ts';
import { root } from './project.ts';
import { settingsFiles } from './settings.ts';
import { findTool } from './tools/tools.ts';

/** Digests of rendered releases by name, and of everything that they were rendered from. */
type Memory = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const path = (environment: Environment): string => join(environment.state, 'rendered.json');

/**
 * A digest of all that decides what releases render to: the sources, the settings, the encrypted secrets, helm and helmfile
 * themselves. Rendering anew takes half a second, this a few milliseconds.
 */
export async function renderInputs(environment: Environment): Promise<string> {
  const files = [
    'helmfile.yaml',
    'environments/values.yaml.gotmpl',
    ...(await settingsFiles(environment.name, environment.provider)),
    ...(await filesBelow(`environments/${environment.name}/secrets`)),
    ...(await filesBelow('charts')),
    // The key goes with its certificate.
    ...['ca.crt', 'postgresql.crt'].map((file) => `.state/${environment.name}/certificates/${file}`),
  ];
  const contents = await Promise.all(
    files.map((file) => readFile(join(root, file)).catch(() => Buffer.alloc(0))),
  );
  const programs = await Promise.all([findTool('helm'), findTool('helmfile')]);
  const hash = createHash('sha256');
  // A tool's chart goes by its path, which names the version.
  hash.update((await chartArguments(await settingsOf(environment))).join('\n'));
  for (const program of programs) hash.update(`${program?.path} ${program?.version}\n`);
  // With their lengths: what moves from the end of one file to the start of the next is a change.
  for (const [index, file] of files.entries()) {
    const content = contents[index] ?? Buffer.alloc(0);
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
}

/** What the same inputs gave before, or nothing. */
export async function recallRendered(
  environment: Environment,
  inputs: string,
): Promise<ReadonlyMap<string, string>> {
  try {
    const memory = JSON.parse(await readFile(path(environment), 'utf8')) as Memory;
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
  await writeWhole(path(environment), `${JSON.stringify(memory, null, 2)}\n`);
}
