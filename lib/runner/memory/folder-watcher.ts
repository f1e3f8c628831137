import { type FSWatcher, watch } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { TaskError } from '../errors.ts';
import { pause } from '../pause.ts';

/** Further events within this time belong to the same change: an editor writes, renames and removes. */
const quietMs = 50;
/** Where something is written all the time, quiet is not waited for any longer. */
const noisyMs = 1000;

/**
 * Tells that something happened in folders; what, is found by looking. One watch for each folder: the recursive one of Node
 * 20 sees a new folder too late on Linux (nodejs/node#48437) and watches what nobody asked for.
 */
export class FolderWatcher {
  readonly #isRelevant: (path: string) => boolean;
  readonly #watches = new Map<string, FSWatcher>();
  readonly #used = new Set<string>();
  #dirty = false;
  #wake: () => void = () => {};

  /** `isRelevant`: whether the contents of this file matter. Names that come and go always do: they may be folders. */
  constructor(isRelevant: (path: string) => boolean) {
    this.#isRelevant = isRelevant;
  }

  /** From now on what happens counts as news. */
  begin(): void {
    this.#dirty = false;
    this.#used.clear();
  }

  /** Watches a folder. To be called before the folder is read, so that nothing falls in between. Throws TaskError. */
  add(folder: string): void {
    this.#used.add(folder);
    if (this.#watches.has(folder)) return;
    try {
      const handle = watch(folder, (event, name) => this.#onEvent(folder, event, name));
      // The folder went away; the one above tells.
      handle.on('error', () => this.#drop(folder));
      this.#watches.set(folder, handle);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EMFILE') return;
      throw new TaskError({
        what: `cannot watch ${folder}`,
        why: `${message}: the system allows no more watches`,
        advice: 'raise fs.inotify.max_user_watches and max_user_instances, or leave folders out of `inputs`',
      });
    }
  }

  /** Gives up the folders that were not added again since `begin`. */
  sweep(): void {
    for (const folder of [...this.#watches.keys()]) if (!this.#used.has(folder)) this.#drop(folder);
  }

  /** Resolves when something has happened since `begin` and it has become quiet again, or when the signal comes. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#dirty && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    for (const deadline = Date.now() + noisyMs; this.#dirty && !signal.aborted && Date.now() < deadline; ) {
      this.#dirty = false;
      await pause(quietMs, signal);
    }
  }

  close(): void {
    for (const folder of [...this.#watches.keys()]) this.#drop(folder);
  }

  #onEvent(folder: string, event: 'rename' | 'change', name: string | null): void {
    if (event === 'change' && name !== null && !this.#isRelevant(join(folder, name))) return;
    if (event === 'rename' && name !== null) {
      // A folder of that name may be another one now, to be watched anew. Its own end is told under its own name.
      const gone = join(folder, name);
      for (const watched of [...this.#watches.keys()]) {
        const own = watched === folder && name === basename(folder);
        if (own || watched === gone || watched.startsWith(gone + sep)) this.#drop(watched);
      }
    }
    this.#dirty = true;
    this.#wake();
  }

  #drop(folder: string): void {
    this.#watches.get(folder)?.close();
    this.#watches.delete(folder);
  }
}
