import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '../parse-json.ts';
import { digestOf } from './node-settings.ts';

/**
 * Creates a folder inside the runner's records. Keeps a newly created outermost folder out of version control; leaves
 * an existing one alone.
 */
export async function makeMemoryFolder(memory: string, name: string): Promise<string> {
  const folder = join(memory, name);
  const made = await mkdir(memory, { recursive: true });
  if (made !== undefined) await writeFile(join(memory, '.gitignore'), '*\n');
  await mkdir(folder, { recursive: true });
  return folder;
}

const folderName = 'fingerprints';

/** Not `.json`, which formatters and linters of the project would find. */
const pathOf = (memory: string, key: string): string => join(memory, folderName, `${digestOf(key)}.memory`);

/** The last value written for this key; undefined if there is none or it is damaged. */
export async function readRecord(memory: string, key: string): Promise<unknown> {
  return parseJson(await readFile(pathOf(memory, key), 'utf8').catch(() => ''));
}

/** Writes atomically, so that readers see the old or the new value. Throws if it fails. */
export async function writeRecord(memory: string, key: string, value: unknown): Promise<void> {
  const draft = join(await makeMemoryFolder(memory, folderName), `${randomUUID()}.tmp`);
  try {
    await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
    await rename(draft, pathOf(memory, key));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export async function removeRecord(memory: string, key: string): Promise<void> {
  await rm(pathOf(memory, key), { force: true });
}
