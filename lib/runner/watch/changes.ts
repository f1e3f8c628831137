import { once } from 'node:events';
import type { FSWatcher } from 'chokidar';
import { TaskError } from '../errors.ts';
import { pause } from '../pause.ts';

/** Further events within this time belong to the same change: an editor writes, renames and removes. */
const quietMs = 50;
/** Where something is written all the time, quiet is not waited for any longer. */
const noisyMs = 1000;

/** Tells that something happened in some folders and below; what, is found by looking. */
export class Changes {
  readonly #watcher: FSWatcher;
  #dirty = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  private constructor(watcher: FSWatcher) {
    this.#watcher = watcher;
    watcher.on('all', () => {
      this.#dirty = true;
      this.#wake();
    });
    watcher.on('error', (error) => {
      this.#error = error as Error;
      this.#wake();
    });
  }

  /** Resolves when all that is not ignored is watched. */
  static async open(folders: readonly string[], ignored: (path: string) => boolean): Promise<Changes> {
    const { watch } = await import('chokidar');
    const watcher = watch([...folders], { ignored, ignoreInitial: true });
    const changes = new Changes(watcher);
    await once(watcher, 'ready');
    return changes;
  }

  /** From now on what happens counts as news. */
  begin(): void {
    this.#dirty = false;
  }

  /**
   * Resolves when something has happened since `begin` and it has become quiet again, or when the signal comes. Throws TaskError when
   * it cannot be watched.
   */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#dirty && this.#error === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    if (this.#error !== undefined) {
      throw new TaskError({
        what: 'cannot watch all inputs',
        why: this.#error.message,
        advice: 'raise fs.inotify.max_user_watches and max_user_instances, or leave folders out of `inputs`',
      });
    }
    for (const deadline = Date.now() + noisyMs; this.#dirty && !signal.aborted && Date.now() < deadline; ) {
      this.#dirty = false;
      await pause(quietMs, signal);
    }
  }

  async close(): Promise<void> {
    await this.#watcher.close();
  }
}
