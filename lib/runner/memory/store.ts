import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from './node-settings.ts';

/**
 * Makes a folder inside of what the runner remembers. The outermost folder that had to be made for it is kept out of version
 * control; one that was there before is left as it is.
 */
export async function makeMemoryFolder(memory: string, name: string): Promise<string> {
  const folder = join(memory, name);
  const made = await mkdir(memory, { recursive: true });
  if (made !== undefined) await writeFile(join(memory, '.gitignore'), '*\n');
  await mkdir(folder, { recursive: true });
  return folder;
}

const folderName = 'fingerprints';

/** Not `.json`: what checks or formats the JSON of a project shall not find it. */
const pathOf = (memory: string, key: string): string => join(memory, folderName, `${digestOf(key)}.memory`);

/** What was written last for this key; undefined when there is nothing or it is damaged. */
export async function readRecord(memory: string, key: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(pathOf(memory, key), 'utf8'));
  } catch {
    return undefined;
  }
}

/** As a whole, so that a reader sees the old or the new value and never a half. Throws when it cannot be written. */
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
