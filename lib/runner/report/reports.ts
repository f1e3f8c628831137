import { constants, openSync } from 'node:fs';
import { lstat, open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TaskError, toFailure, UsageError } from '../errors.ts';
import type { RunRequest } from '../run.ts';
import { viewOfGraph } from '../show-graph.ts';
import type { RecordedRun, RecordedTask, RunRecorder } from './recorder.ts';

/** In report.html, by which an earlier page is recognised. */
export const pageMark = '<meta name="generator" content="task runner">';

/**
 * Checks before the run that the file can be written at its end, and replaces nothing but an earlier one: an existing
 * file must be empty or have `mark` near its beginning. `option` is its option. Throws UsageError.
 */
export async function openReportFile(path: string, option: string, mark: string) {
  const refuse = (why: string, another = 'a file in a folder that you may write to'): UsageError =>
    new UsageError({ what: `cannot write \`${path}\``, why, advice: `give \`${option}\` ${another}` });
  if (path === '-') throw refuse('it is not a file name', 'a file, or /dev/stdout');
  // Resolves links, so that none is replaced by a file.
  const file = await realpath(path).catch(() => resolve(path));
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) throw refuse('it is a folder');
  if (!found && (await lstat(file).catch(() => undefined))) throw refuse('it is a link to nothing');
  if (found?.isFile() && found.size > 0 && !(await beginning(file)).includes(mark))
    throw refuse(`\`${option}\` has not written this file`, 'a new file');
  // A device or a pipe cannot be replaced.
  const inPlace = found !== undefined && !found.isFile();
  const partial = inPlace ? file : join(dirname(file), `.${basename(file)}.${process.pid}.partial`);
  let pipe: Socket | undefined;
  try {
    if (!inPlace) await writeFile(partial, '');
    if (!inPlace) await rm(partial);
    // Opened without waiting for a reader, which may never come.
    else if (!found.isCharacterDevice())
      pipe = new Socket({
        fd: openSync(file, constants.O_WRONLY | constants.O_NONBLOCK),
        readable: false,
        writable: true,
      });
  } catch (error) {
    throw refuse(reasonOf(error as NodeJS.ErrnoException, dirname(path)));
  }
  return {
    /** As given by the user. */
    path,
    /** Writes atomically: readers see the old or the new file. Rejects with a TaskError. */
    write: async (text: string): Promise<void> => {
      try {
        // Private, since logs may be confidential.
        await (pipe ? pipeline([text], pipe) : writeFile(partial, text, { mode: 0o600 }));
        if (!inPlace) await rename(partial, file);
      } catch (error) {
        if (!inPlace) await rm(partial, { force: true });
        throw new TaskError({
          what: `cannot write \`${path}\``,
          why: (error as Error).message,
          advice: `free some space, or give \`${option}\` another file`,
        });
      }
    },
  };
}

async function beginning(file: string): Promise<string> {
  const handle = await open(file);
  try {
    return (await handle.read(Buffer.alloc(1024))).buffer.toString();
  } finally {
    await handle.close();
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException, folder: string): string {
  if (code === 'ENOENT') return `there is no folder \`${folder}\``;
  if (code === 'ENOTDIR') return `\`${folder}\` is not a folder`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `\`${folder}\` is not writable`;
  return code === 'ENXIO' ? 'no program reads this pipe' : message;
}

/**
 * Returns a function that writes a run's reports at its end, and tells the files and why some were not written. Redacts
 * even what was recorded before a secret was known. Throws UsageError if a file cannot be written or both are the same.
 */
export async function openReports({ graph, redactor, settings }: RunRequest, recorder: RunRecorder) {
  const [page, slices] = [settings.report, settings.trace];
  if (page !== undefined && slices !== undefined && resolve(page) === resolve(slices)) {
    throw new UsageError({
      what: `\`--report\` and \`--trace\` both name \`${page}\``,
      why: 'one would overwrite the other',
      advice: 'give each a file of its own',
    });
  }
  const report = page === undefined ? undefined : await openReportFile(page, '--report', pageMark);
  const trace = slices === undefined ? undefined : await openReportFile(slices, '--trace', '{"traceEvents":');
  return async () => {
    const files: string[] = [];
    try {
      const run = redactor.redactAll(recorder.recorded());
      if (report !== undefined) {
        const { reportPage } = await import('./html.ts');
        const view = redactor.redactAll(viewOfGraph(graph));
        await report.write(await reportPage(run, view));
        files.push(report.path);
      }
      if (trace !== undefined) {
        await trace.write(`${JSON.stringify(traceOf(run))}\n`);
        files.push(trace.path);
      }
      return { files, failure: undefined };
    } catch (error) {
      return { files, failure: toFailure(error) };
    }
  };
}

const pid = 1;

/**
 * The run in the Trace Event Format, for Perfetto and chrome://tracing: a thread per worker and a slice per task. `ts`
 * and `dur` are microseconds; of the kinds `ph`, `X` is a slice and `M` names what follows.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export function traceOf(run: RecordedRun) {
  const slices = slicesOf(run.tasks);
  const lanes = Math.max(0, ...slices.map(({ tid }) => tid));
  return {
    traceEvents: [
      metadata('process_name', 0, { name: run.label }),
      ...Array.from({ length: lanes }, (_, lane) =>
        metadata('thread_name', lane + 1, { name: `worker ${lane + 1}` }),
      ),
      ...slices,
    ],
    displayTimeUnit: 'ms',
    otherData: {
      task: run.label,
      outcome: run.outcome,
      started: new Date(run.startedAt).toISOString(),
      jobs: String(run.jobs),
    },
  };
}

/** Sorted by start. Slices of a thread must not overlap, so those below a microsecond are put in a row. */
function slicesOf(tasks: readonly RecordedTask[]) {
  const started = tasks.flatMap((task) => {
    const { startedAt, endedAt, lane } = task;
    return startedAt === undefined || endedAt === undefined || lane === undefined
      ? []
      : [{ task, startedAt, endedAt, lane }];
  });
  started.sort((left, right) => left.startedAt - right.startedAt || left.endedAt - right.endedAt);
  const free: number[] = [];
  return started.map(({ task, startedAt, endedAt, lane }) => {
    const ts = Math.max(startedAt * 1000, free[lane] ?? 0);
    const dur = Math.max(1, endedAt * 1000 - ts);
    free[lane] = ts + dur;
    return { name: task.label, cat: 'task', ph: 'X', pid, tid: lane + 1, ts, dur, args: facts(task) };
  });
}

function facts({ status, report, waitedMs, attempts, place, failure }: RecordedTask) {
  const { what, exitCode } = failure ?? {};
  return { status, report, waitedMs, attempts, declared: place, failure: what, exitCode };
}

function metadata(name: string, tid: number, args: { readonly name: string }) {
  return { name, ph: 'M', pid, tid, ts: 0, args };
}
