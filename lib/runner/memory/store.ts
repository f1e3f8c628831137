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

/** Small JSON files by key. Each is replaced as a whole, so that a reader sees the old or the new one and never a half. */
export class Store {
  readonly #memory: string;
  readonly #name: string;

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
    const draft = join(await makeMemoryFolder(this.#memory, this.#name), `${randomUUID()}.tmp`);
    try {
      await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
      await rename(draft, this.#path(key));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  /** Not `.json`: what checks or formats the JSON of a project shall not find it. */
  #path(key: string): string {
    return join(this.#memory, this.#name, `${digestOf(key)}.memory`);
  }
}
