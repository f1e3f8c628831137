import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskNode } from '../node.ts';
import { parseJson } from '../parse-json.ts';

/** True if the task can be up to date. A long-running one is wanted for running, not for its result. */
export function isTracked({ task }: TaskNode): boolean {
  return (task.inputs !== undefined || task.status !== undefined) && task.ready === undefined;
}

/** A task's properties apart from files, by their names in explanations. Throws what `commands` throws. */
export async function settingsOf({ task, input }: TaskNode): Promise<{ readonly [name: string]: unknown }> {
  return {
    'its commands': await task.commands(input),
    // Code in other files has to be among the inputs.
    'its code': String(task.run),
    'its words after `--`': input.passThrough,
  };
}

/** In place of a digest: the node is done, but its result ended with the run (it registered a cleanup). */
export const passing = 'passing';

/** Digest of all its settings; undefined if they are unknown. */
export async function settingsDigest(node: TaskNode): Promise<string | undefined> {
  return settingsOf(node).then(digestOf, () => undefined);
}

/** The last digest: tasks of a large graph are often alike, and hashing is the most expensive part of a small one. */
let last = { text: '', digest: '' };

/** A short name for any value; equal values have equal names. */
export function digestOf(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  if (text !== last.text || last.digest === '')
    last = { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 32) };
  return last.digest;
}

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
