import type { RecordedRun, RecordedTask } from './recorded-run.ts';

/**
 * One event of the Trace Event Format, which Perfetto and chrome://tracing read. `ts` and `dur` are microseconds.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export type TraceEvent = {
  readonly name: string;
  /** X: complete, M: metadata, s and f: start and end of a flow, i: instant, C: counter. */
  readonly ph: 'X' | 'M' | 's' | 'f' | 'i' | 'C';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly cat?: string;
  /** Joins the two ends of a flow. */
  readonly id?: number;
  /** `e`: the flow ends in the slice around it, not in the next one. */
  readonly bp?: 'e';
  /** An instant for the whole trace. */
  readonly s?: 'g';
  readonly args?: { readonly [name: string]: unknown };
};

export type Trace = {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
  readonly otherData: { readonly [name: string]: string };
};

const pid = 1;
/** A slice without any length could hold no end of an arrow. */
const shortest = 1;

/** The run as a trace: one thread per worker, a slice per task and per attempt, arrows for needs. */
export function traceOf(run: RecordedRun): Trace {
  const ran = slicesOf(run.tasks);
  const slices = new Map(ran.map((slice) => [slice.place, slice]));
  const lanes = ran.reduce((most, { tid }) => Math.max(most, tid), 0);
  const events: TraceEvent[] = [
    metadata('process_name', 0, { name: run.label }),
    ...Array.from({ length: lanes }, (_, lane) => [
      metadata('thread_name', lane + 1, { name: `worker ${lane + 1}` }),
      metadata('thread_sort_index', lane + 1, { sort_index: lane + 1 }),
    ]).flat(),
    // Before the arrows: an arrow's end belongs to the slice that has begun by then.
    ...ran.flatMap((slice) => [slice.event, ...attempts(slice)]),
    ...run.notes.map(({ at, text }): TraceEvent => {
      return { name: text, ph: 'i', s: 'g', cat: 'run', pid, tid: 0, ts: at * 1000 };
    }),
    ...runningCounter(ran),
  ];
  let flow = 0;
  for (const slice of ran) {
    for (const needed of slice.task.needs) {
      const from = slices.get(needed);
      if (from === undefined) continue;
      flow += 1;
      const both = { name: 'need', cat: 'need', pid, id: flow };
      const leaves = Math.max(from.event.ts, Math.min(from.end - shortest, slice.event.ts));
      events.push({ ...both, ph: 's', tid: from.tid, ts: leaves });
      events.push({ ...both, ph: 'f', bp: 'e', tid: slice.tid, ts: slice.event.ts });
    }
  }
  return {
    traceEvents: events,
    displayTimeUnit: 'ms',
    otherData: {
      task: run.label,
      outcome: run.outcome,
      started: new Date(run.startedAt).toISOString(),
      jobs: String(run.jobs),
    },
  };
}

type Slice = {
  readonly place: number;
  readonly task: RecordedTask;
  readonly tid: number;
  readonly event: TraceEvent;
  readonly end: number;
};

/** In the order of their starts. Slices of one thread must not overlap: those of less than a microsecond stand in a row. */
function slicesOf(tasks: readonly RecordedTask[]): Slice[] {
  const started = tasks.flatMap((task, place) => {
    const { startedAt, endedAt, lane } = task;
    return startedAt === undefined || endedAt === undefined || lane === undefined
      ? []
      : [{ task, place, startedAt, endedAt, lane }];
  });
  started.sort((left, right) => left.startedAt - right.startedAt || left.endedAt - right.endedAt);
  const free: number[] = [];
  return started.map(({ task, place, startedAt, endedAt, lane }) => {
    const ts = Math.max(startedAt * 1000, free[lane] ?? 0);
    const dur = Math.max(shortest, endedAt * 1000 - ts);
    free[lane] = ts + dur;
    const tid = lane + 1;
    const event: TraceEvent = {
      name: task.label,
      cat: 'task',
      ph: 'X',
      pid,
      tid,
      ts,
      dur,
      args: facts(task),
    };
    return { place, task, tid, event, end: ts + dur };
  });
}

function facts(task: RecordedTask): { readonly [name: string]: unknown } {
  const { failure } = task;
  return {
    status: task.status,
    ...(task.report === undefined ? {} : { report: task.report }),
    waitedMs: task.waitedMs,
    attempts: task.retriedAt.length + 1,
    declared: task.place,
    ...(failure === undefined ? {} : { failure: failure.what, exitCode: failure.exitCode }),
  };
}

/** Slices within the task's slice, when it was tried more than once. */
function attempts({ task, event, end, tid }: Slice): TraceEvent[] {
  if (task.retriedAt.length === 0) return [];
  const borders = [event.ts, ...task.retriedAt.map((at) => at * 1000), end];
  return borders.slice(1).map((border, index): TraceEvent => {
    const ts = borders[index] ?? 0;
    const dur = Math.max(0, border - ts);
    return { name: `attempt ${index + 1}`, cat: 'attempt', ph: 'X', pid, tid, ts, dur };
  });
}

/** How many tasks run, whenever that changes. */
function runningCounter(ran: readonly Slice[]): TraceEvent[] {
  const changes = new Map<number, number>();
  for (const { event, end } of ran) {
    changes.set(event.ts, (changes.get(event.ts) ?? 0) + 1);
    changes.set(end, (changes.get(end) ?? 0) - 1);
  }
  let running = 0;
  return [...changes]
    .sort(([left], [right]) => left - right)
    .map(([ts, change]): TraceEvent => {
      running += change;
      return { name: 'running', ph: 'C', pid, tid: 0, ts, args: { tasks: running } };
    });
}

function metadata(name: string, tid: number, args: { readonly [name: string]: unknown }): TraceEvent {
  return { name, ph: 'M', pid, tid, ts: 0, args };
}
