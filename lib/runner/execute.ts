import type { ChildProcess } from 'node:child_process';
import type { BackPressure } from './back-pressure.ts';
import type { Children } from './children.ts';
import { type Failure, TaskError, toFailure } from './errors.ts';
import type { Emit } from './events.ts';
import { exitCodes } from './exit-codes.ts';
import { formatDuration } from './format.ts';
import type { TaskNode } from './graph.ts';
import { LineSplitter } from './line-splitter.ts';
import type { LockHolder } from './lock.ts';
import { nestedEnvironment } from './nesting.ts';
import { markEnvironment } from './orphans.ts';
import { pause } from './pause.ts';
import type { Redactor } from './redact.ts';
import { type CommandOptions, createShell, stoppedError } from './shell.ts';
import type { Stop } from './stop.ts';
import type { Options, RunOutcome, TaskContext } from './task.ts';

export type Cleanup = {
  readonly node: TaskNode;
  readonly run: (outcome: RunOutcome) => void | Promise<void>;
};

/** What all tasks of a run share. */
export type Run = {
  readonly children: Children;
  readonly stop: Stop;
  readonly redactor: Redactor;
  readonly emit: Emit;
  readonly cleanups: Cleanup[];
  readonly verbose: boolean;
  /** What the commands of tasks without a `run` start with. */
  readonly shell: ((options: Options) => Promise<CommandOptions>) | undefined;
  /** The path of the lock that the run holds. */
  readonly lock: string | undefined;
  /** The run as the lock's holder; undefined also inside a run that holds it. */
  readonly holder: LockHolder | undefined;
  /** Keeps children from printing faster than can be written. */
  readonly pressure: BackPressure | undefined;
  /** The cleanups run: their commands are let through although the run was stopped. */
  cleaning: boolean;
};

export type NodeResult =
  | { readonly status: 'done'; readonly report: 'changed' | 'unchanged' | undefined }
  | { readonly status: 'failed'; readonly failure: Failure; readonly lastLines: readonly string[] }
  | { readonly status: 'interrupted' };

/** How long a body whose children are gone may go on before the run gives up waiting for it. */
const bodyGraceMs = 5000;
const keptLines = 20;

/** Runs one task, with its retries and time limit; never rejects. No child of it is left when this returns. */
export async function executeNode(node: TaskNode, run: Run): Promise<NodeResult> {
  const attempts = 1 + (node.task.retries ?? 0);
  for (let attempt = 1; ; attempt += 1) {
    const result = await executeAttempt(
      node,
      run,
      attempts > 1 ? ` (attempt ${attempt} of ${attempts})` : '',
    );
    if (result.status !== 'failed' || attempt === attempts) return result;
    run.emit({ type: 'task-retried', id: node.id, attempt, attempts, failure: result.failure });
    await pause((node.task.retryDelayMs ?? 1000) * 2 ** (attempt - 1), run.stop.signal);
    if (run.stop.signal.aborted) return { status: 'interrupted' };
  }
}

async function executeAttempt(node: TaskNode, run: Run, count: string): Promise<NodeResult> {
  const { timeoutMs } = node.task;
  const abort = new AbortController();
  const lastLines: string[] = [];
  const state: AttemptState = { abort, lastLines, over: false, report: undefined };
  let timedOut = false;
  let giveUp: () => void = () => {};
  const abandoned = new Promise<'abandoned'>((resolve) => {
    giveUp = () => resolve('abandoned');
  });

  const onStop = (): void => {
    abort.abort();
    void run.stop.ended().then(() => setTimeout(giveUp, bodyGraceMs).unref());
  };
  const onTimeout = (): void => {
    timedOut = true;
    abort.abort();
    void run.children.end(node.id).then(() => setTimeout(giveUp, bodyGraceMs).unref());
  };
  if (run.stop.signal.aborted) return { status: 'interrupted' };
  run.stop.signal.addEventListener('abort', onStop, { once: true });
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  let error: unknown;
  try {
    const body = runBody(node, createContext(node, run, state), run);
    if ((await Promise.race([body, abandoned])) === 'abandoned') {
      run.emit({
        type: 'task-output',
        id: node.id,
        stream: 'log',
        line: 'did not end when it was asked to; given up',
      });
      error = new TaskError({ what: `task \`${node.label}\` does not react to its signal` });
    }
  } catch (thrown) {
    error = thrown ?? new Error('a task threw nothing');
  } finally {
    clearTimeout(timer);
    run.stop.signal.removeEventListener('abort', onStop);
    state.over = true;
    await run.children.end(node.id);
  }
  if (timedOut && timeoutMs !== undefined) {
    const what = `task \`${node.label}\` timed out after ${formatDuration(timeoutMs)}${count}`;
    const failure = toFailure(new TaskError({ what, why: lastLines.at(-1), exitCode: exitCodes.timeout }));
    return { status: 'failed', failure, lastLines };
  }
  if (error === undefined) return { status: 'done', report: state.report };
  if (run.stop.signal.aborted) return { status: 'interrupted' };
  return { status: 'failed', failure: toFailure(error), lastLines };
}

type AttemptState = {
  readonly abort: AbortController;
  readonly lastLines: string[];
  over: boolean;
  report: 'changed' | 'unchanged' | undefined;
};

async function runBody(node: TaskNode, context: TaskContext, run: Run): Promise<void> {
  if (node.task.run !== undefined) {
    await node.task.run(context);
    return;
  }
  const $ = context.$((await run.shell?.(node.input.options)) ?? {});
  for (const command of await node.task.commands(node.input)) {
    // A template of one piece: the command is taken as it is, nothing is quoted.
    await $(Object.assign([command], { raw: [command] }));
  }
}

function createContext(node: TaskNode, run: Run, state: AttemptState): TaskContext {
  const { id } = node;
  const splitters = new WeakMap<object, { readonly stdout: LineSplitter; readonly stderr: LineSplitter }>();

  const show = (stream: 'stdout' | 'stderr' | 'log', line: string): void => {
    if (state.lastLines.push(line) > keptLines) state.lastLines.shift();
    run.emit({ type: 'task-output', id, stream, line });
  };
  const splittersOf = (child: object): { readonly stdout: LineSplitter; readonly stderr: LineSplitter } => {
    let found = splitters.get(child);
    if (found === undefined) {
      const make = (stream: 'stdout' | 'stderr'): LineSplitter =>
        new LineSplitter(run.redactor, (line) => show(stream, line));
      found = { stdout: make('stdout'), stderr: make('stderr') };
      splitters.set(child, found);
    }
    return found;
  };

  return {
    ...node.input,
    $: createShell({
      interactive: node.task.interactive ?? false,
      check: () => {
        if (!run.cleaning && (state.abort.signal.aborted || state.over)) throw stoppedError();
      },
      spawn: (command, args, options, { interactive, daemons }) => {
        const mark = daemons ? markEnvironment(undefined) : run.holder && markEnvironment(run.holder);
        const env = { ...options.env, ...nestedEnvironment(run.lock), ...mark };
        return run.children.spawn(id, command, args, { ...options, env }, interactive);
      },
      end: (child: ChildProcess) => void run.children.endOne(child),
      onCommand: (command) => run.emit({ type: 'task-command', id, command }),
      onOutput: (stream, chunk, child) => splittersOf(child)[stream].push(chunk),
      redact: (text) => run.redactor.redact(text),
      pressure: run.pressure,
    }),
    signal: state.abort.signal,
    verbose: run.verbose,
    print: (text) => run.emit({ type: 'task-result', id, text: text.endsWith('\n') ? text : `${text}\n` }),
    log: (text) => {
      for (const line of text.split('\n')) show('log', line);
    },
    progress: (text) => run.emit({ type: 'task-progress', id, text }),
    report: (outcome) => {
      state.report = outcome;
    },
    secret: (value) => run.redactor.add(value),
    onRunEnd: (cleanup) => {
      run.cleanups.push({ node, run: cleanup });
    },
  };
}
