import type { RecordedRun, RecordedTask } from './recorded-run.ts';

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
  return {
    status,
    report,
    waitedMs,
    attempts,
    declared: place,
    failure: what,
    exitCode,
  };
}

function metadata(name: string, tid: number, args: { readonly name: string }) {
  return { name, ph: 'M', pid, tid, ts: 0, args };
}
