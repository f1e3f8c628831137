import { dirname, relative, resolve } from 'node:path';
import { formatFailure, toFailure, UsageError } from '../errors.ts';
import type { RunEventBody } from '../events.ts';
import { exitCodes } from '../exit-codes.ts';
import { count } from '../format.ts';
import { type FileStates, readStates } from '../memory/file-state.ts';
import { changedFiles } from '../memory/fingerprint.ts';
import { compileGlobs, existingFolder, findFiles, matchesGlobs, mayHold } from '../memory/glob.ts';
import { globsOf, type TaskGlobs } from '../memory/task-files.ts';
import { RunView, runLine } from '../output/lines.ts';
import { type RunRequest, runTasks } from '../run-tasks.ts';
import { Changes } from './changes.ts';

/**
 * Runs the graph, then again whenever an input of one of its tasks has changed, until a signal comes; what changes during a
 * run leads to one more run afterwards. What tasks of the graph make themselves is no change. A requested long-running task
 * is restarted. Throws UsageError when no task declares `inputs` or `watched`.
 */
export async function watchTasks(request: RunRequest): Promise<number> {
  const { graph, stop, terminal, settings, redactor } = request;
  const globs = await watchedGlobs(request);
  const isMade = (path: string): boolean => globs.some(({ outputs }) => matchesGlobs(outputs, path));
  const memory = resolve(request.memory);
  const starts = globs.flatMap(({ inputs }) => inputs.included.map(({ start }) => start));
  const watcher = await Changes.open(
    // That a start itself goes or comes back is only seen from above.
    await Promise.all(starts.map((start) => existingFolder(dirname(start)))),
    (path) => path === memory || isMade(path) || !globs.some(({ inputs }) => mayHold(inputs, path)),
  );
  const tellWaiting = (files: number): void => {
    const tasks = globs.filter(({ inputs }) => inputs.included.length > 0).length;
    tell({ type: 'watch-waiting', files, tasks });
  };
  const tell = (body: RunEventBody): void => {
    const event = redactor.redactAll({ ...body, at: Date.now() });
    const json = settings.output === 'json';
    terminal.err(`${json ? JSON.stringify(event) : runLine(event, new RunView(), terminal.style)}\n`);
  };
  try {
    let files = await look({});
    for (;;) {
      const running = runOnce();
      const restarted = graph.roots.at(-1)?.task.ready === undefined ? undefined : restartOnChange(running);
      await running;
      await restarted;
      if (isStopped()) return exitCodes.done;
      const news = await nextChange(files, stop.signal, tellWaiting);
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

  /** A run that cannot even begin (its lock is taken) is one more failure to learn from. */
  async function runOnce(): Promise<void> {
    try {
      await runTasks(request);
    } catch (error) {
      if (isStopped()) throw error;
      const lines = formatFailure(redactor.redactAll(toFailure(error)), settings.verbose);
      terminal.err(lines.map((line) => `${line}\n`).join(''));
    }
    stop.recover();
    // Nothing runs any more that a signal could stop: its end needs no words.
    stop.onStop = undefined;
  }

  function isStopped(): boolean {
    return stop.reason !== undefined && stop.reason.type !== 'failure' && stop.reason.type !== 'change';
  }

  /** Undefined when the signal came first. */
  async function nextChange(
    before: FileStates,
    signal: AbortSignal,
    onWait?: (files: number) => void,
  ): Promise<{ readonly files: FileStates; readonly changes: string[] } | undefined> {
    for (let told = false; !signal.aborted; ) {
      const now = await look(before);
      const changes = changedFiles(before, now);
      if (signal.aborted) return undefined;
      if (changes.length > 0) return { files: now, changes };
      if (!told) onWait?.(Object.keys(now).length);
      told = true;
      await watcher.next(signal);
    }
    return undefined;
  }

  /** The state of all inputs by path from here. */
  async function look(known: FileStates): Promise<FileStates> {
    watcher.begin();
    const paths = new Set<string>();
    for (const { inputs } of globs) {
      const found = await findFiles(inputs, {
        ignored: [resolve(request.memory)],
        except: isMade,
      });
      for (const path of found.files) paths.add(path);
    }
    const absolute = Object.entries(known).map(([path, state]) => [resolve(path), state] as const);
    const { states } = await readStates([...paths].sort(), Object.fromEntries(absolute));
    return Object.fromEntries(Object.entries(states).map(([path, state]) => [relative('.', path), state]));
  }
}

async function watchedGlobs({ graph, shell }: RunRequest): Promise<TaskGlobs[]> {
  const readers = graph.nodes.filter(({ task }) => task.inputs !== undefined);
  if (readers.length === 0 && graph.nodes.every(({ task }) => task.watched === undefined)) {
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
  // Also of tasks without inputs: what they make is no change.
  const makers = graph.nodes.filter(({ task }) => task.inputs === undefined && task.outputs !== undefined);
  const watched = graph.nodes.map(async (node) => {
    const texts = (await node.task.watched?.(node.input)) ?? [];
    const globs = globsOf(node, base);
    return texts.length > 0 ? [{ ...globs, inputs: compileGlobs(texts, globs.folder) }] : [];
  });
  return [
    ...[...readers, ...makers].map((node) => globsOf(node, base)),
    ...(await Promise.all(watched)).flat(),
  ];
}
