import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOf } from './file-state.ts';

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

/** Not `.json`: what checks or formats the JSON of a project shall not find it. */
const ending = '.memory';
/** What nobody has renewed for so long is most likely of arguments that are gone; a task that is not only runs once more. */
const keptMs = 90 * 24 * 3600 * 1000;
/** A draft that is older was left behind by a kill. */
const draftMs = 3600 * 1000;

/** Small JSON files by key. Each is replaced as a whole, so that a reader sees the old or the new one and never a half. */
export class Store {
  readonly #memory: string;
  readonly #name: string;
  #folder: Promise<string> | undefined;

  constructor(memory: string, name: string) {
    this.#memory = memory;
    this.#name = name;
  }

  /** What was written last; undefined when there is nothing or it is damaged. */
  async read(key: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(this.#path(key), 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** Throws when it cannot be written. */
  async write(key: string, value: unknown): Promise<void> {
    this.#folder ??= makeMemoryFolder(this.#memory, this.#name).then(tidied);
    await this.#folder;
    const path = this.#path(key);
    const draft = join(dirname(path), `${randomUUID()}.tmp`);
    try {
      await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  #path(key: string): string {
    return join(this.#memory, this.#name, `${digestOf(key)}${ending}`);
  }
}

/** Removes what is too old from the folder. */
async function tidied(folder: string): Promise<string> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > (name.endsWith(ending) ? keptMs : draftMs)) await rm(path, { recursive: true, force: true });
  }
  return folder;
}
