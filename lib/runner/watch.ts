import { once } from 'node:events';
import { dirname, resolve } from 'node:path';
import { exitCodes, formatFailure, TaskError, toFailure, UsageError } from './errors.ts';
import type { RunEventBody } from './events.ts';
import { count } from './format.ts';
import {
  changesBetween,
  compileGlobs,
  type Digests,
  existingFolder,
  type Globs,
  mayHold,
  readFiles,
} from './memory/files.ts';
import { RunView } from './output/lines.ts';
import { pause } from './pause.ts';
import type { RunRequest } from './run.ts';
import { runTasks } from './run-tasks.ts';
import { declared } from './task.ts';

/** Milliseconds in which further events belong to the same change: an editor writes, renames and removes. */
const quietMs = 50;
/** Milliseconds after which a continuous change is no longer waited out. */
const noisyMs = 1000;

/**
 * Reports that something happened below some folders; what, has to be found by looking. Resolves when everything that
 * is not ignored is watched.
 */
async function openChanges(folders: readonly string[], ignored: (path: string) => boolean) {
  const { watch } = await import('chokidar');
  const watcher = watch([...folders], { ignored, ignoreInitial: true });
  let dirty = false;
  let error: Error | undefined;
  watcher.on('all', () => {
    dirty = true;
  });
  watcher.on('error', (thrown) => {
    error = thrown as Error;
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
      // It rejects for an error, kept above, and on the signal.
      if (!dirty && error === undefined) await once(watcher, 'all', { signal }).catch(() => {});
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

/**
 * Runs the graph, and again whenever an input of its tasks changes, until a signal; changes during a run lead to
 * another one. Restarts a requested long-running task. Throws UsageError if no task declares `inputs` or `watched`.
 */
export async function watchTasks(request: RunRequest): Promise<number> {
  const { graph, stop, terminal, settings, redactor } = request;
  const globs = await watchedGlobs(request);
  const memory = resolve(request.memory);
  const starts = globs.flatMap(({ included }) => included.map(({ start }) => start));
  const watcher = await openChanges(
    // Only the parent shows that a start itself is removed or created.
    await Promise.all(starts.map((start) => existingFolder(dirname(start)))),
    (path) => path === memory || !globs.some((inputs) => mayHold(inputs, path)),
  );
  const tell = (body: RunEventBody): void => {
    const event = redactor.redactAll({ ...body, at: Date.now() });
    const json = settings.output === 'json';
    terminal.err(`${json ? JSON.stringify(event) : new RunView(terminal.style).runLine(event)}\n`);
  };
  try {
    let files = await look();
    for (;;) {
      const running = runOnce();
      const restarted = graph.roots.at(-1)?.task.ready === undefined ? undefined : restartOnChange(running);
      await running;
      await restarted;
      if (stop.reason !== undefined) return exitCodes.done;
      const news = await nextChange(files, stop.signal, true);
      if (news === undefined) return exitCodes.done;
      files = news.files;
      tell({ type: 'watch-changed', changes: news.changes });
    }
    async function restartOnChange(running: Promise<void>): Promise<void> {
      const over = new AbortController();
      const end = (): void => over.abort();
      void running.then(end, end);
      const news = await nextChange(files, AbortSignal.any([stop.signal, over.signal]));
      if (news !== undefined) stop.begin({ type: 'change' });
    }
  } finally {
    await watcher.close();
  }

  /** A run that cannot even begin, because its lock is taken, counts as failed. */
  async function runOnce(): Promise<void> {
    const error: unknown = await runTasks(request).then(
      () => undefined,
      (thrown) => thrown,
    );
    stop.recover();
    // Nothing is running that a signal could stop, so it needs no message.
    stop.onStop = undefined;
    if (error === undefined) return;
    if (stop.reason !== undefined) throw error;
    const lines = formatFailure(redactor.redactAll(toFailure(error)), settings.verbose);
    terminal.err(lines.map((line) => `${line}\n`).join(''));
  }

  /** Undefined if the signal came first. With `tells`, says that it waits. */
  async function nextChange(
    before: Digests,
    signal: AbortSignal,
    tells = false,
  ): Promise<{ readonly files: Digests; readonly changes: string[] } | undefined> {
    for (let told = !tells; !signal.aborted; ) {
      let now = await look();
      // The change may have been seen incomplete.
      if (watcher.some() && changesBetween(before, now).length > 0) {
        await watcher.next(signal);
        now = await look();
      }
      const changes = changesBetween(before, now);
      if (signal.aborted) return undefined;
      if (changes.length > 0) return { files: now, changes };
      if (!told) tell({ type: 'watch-waiting', files: Object.keys(now).length, tasks: globs.length });
      told = true;
      await watcher.next(signal);
    }
    return undefined;
  }

  /** Digests of all inputs, by path from here. */
  async function look(): Promise<Digests> {
    watcher.begin();
    const seen = await Promise.all(globs.map((inputs) => readFiles(inputs, resolve('.'), memory)));
    return Object.fromEntries(seen.flatMap(({ digests }) => Object.entries(digests)).sort());
  }
}

/** The globs of each task with any. */
async function watchedGlobs({ graph, shell }: RunRequest): Promise<Globs[]> {
  const watched = graph.nodes.filter(({ task }) => task.inputs !== undefined || task.watched !== undefined);
  if (watched.length === 0) {
    const size = graph.nodes.length;
    throw new UsageError({
      what: `nothing to watch for \`${graph.label}\``,
      why:
        size === 1
          ? 'it declares no inputs'
          : `none of the ${count(size, 'task')} of its run declares inputs`,
      advice: 'declare `inputs` or `watched` on the tasks that read files',
    });
  }
  const base = resolve((await shell?.(graph.options))?.cwd ?? '.');
  const globs = watched.map(async ({ task, input }) => {
    const texts = [declared(task.inputs, input), declared(task.watched, input)];
    return compileGlobs(
      (await Promise.all(texts)).flatMap((own) => own ?? []),
      base,
    );
  });
  return (await Promise.all(globs)).filter(({ included }) => included.length > 0);
}
