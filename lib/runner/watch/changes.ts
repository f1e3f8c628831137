import { once } from 'node:events';
import { TaskError } from '../errors.ts';
import { pause } from '../pause.ts';

/** Milliseconds in which further events belong to the same change: an editor writes, renames and removes. */
const quietMs = 50;
/** Milliseconds after which a continuous change is no longer waited out. */
const noisyMs = 1000;

/**
 * Reports that something happened below some folders; what, has to be found by looking. Resolves when everything that
 * is not ignored is watched.
 */
export async function openChanges(folders: readonly string[], ignored: (path: string) => boolean) {
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
    /** Starts to count events. */
    begin: (): void => {
      dirty = false;
    },
    /** True if there were any events. */
    some: () => dirty,
    /**
     * Resolves once something has happened since `begin` and it is quiet again, or on the signal. Throws TaskError if
     * watching fails.
     */
    next: async (signal: AbortSignal): Promise<void> => {
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
