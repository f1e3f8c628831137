import { once } from 'node:events';
import { TaskError } from '../errors.ts';
import { pause } from '../pause.ts';

/** Further events within this time belong to the same change: an editor writes, renames and removes. */
const quietMs = 50;
/** Where something is written all the time, quiet is not waited for any longer. */
const noisyMs = 1000;

/** Tells that something happened in some folders and below; what, is found by looking. */
export type Changes = {
  /** From now on what happens counts as news. */
  readonly begin: () => void;
  /** Whether there are news. */
  readonly some: () => boolean;
  /**
   * Resolves when something has happened since `begin` and it has become quiet again, or when the signal comes. Throws TaskError when
   * it cannot be watched.
   */
  readonly next: (signal: AbortSignal) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Resolves when all that is not ignored is watched. */
export async function openChanges(
  folders: readonly string[],
  ignored: (path: string) => boolean,
): Promise<Changes> {
  const { watch } = await import('chokidar');
  const watcher = watch([...folders], { ignored, ignoreInitial: true });
  let dirty = false;
  let error: Error | undefined;
  let wake = (): void => {};
  watcher.on('all', () => {
    dirty = true;
    wake();
  });
  watcher.on('error', (thrown) => {
    error = thrown as Error;
    wake();
  });
  await once(watcher, 'ready');
  return {
    begin: () => {
      dirty = false;
    },
    some: () => dirty,
    next: async (signal) => {
      if (!dirty && error === undefined && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      if (error !== undefined) {
        throw new TaskError({
          what: 'cannot watch all inputs',
          why: error.message,
          advice:
            'raise fs.inotify.max_user_watches and max_user_instances, or leave folders out of `inputs`',
        });
      }
      for (const deadline = Date.now() + noisyMs; dirty && !signal.aborted && Date.now() < deadline; ) {
        dirty = false;
        await pause(quietMs, signal);
      }
    },
    close: () => watcher.close(),
  };
}
