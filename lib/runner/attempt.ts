import { formatPlace } from './call-site.ts';
import { lineSplitter, type OnePipe, returnPipe, takePipe } from './child-output.ts';
import { TaskError } from './errors.ts';
import type { RunEventBody } from './events.ts';
import type { TaskNode } from './node.ts';
import { ownBeginning } from './output/text.ts';
import type { Gate, Run } from './run.ts';
import type { Shell } from './shell.ts';
import { createShell } from './start-command.ts';
import type { TaskContext } from './task.ts';

/** Milliseconds for a body to finish after its children have ended; then the run abandons it. */
const bodyGraceMs = 5000;
const keptLines = 20;
/** Characters kept of each line, which may have millions. */
const keptLength = 500;

type OutputStream = Extract<RunEventBody, { type: 'task-output' }>['stream'];

/**
 * One attempt at running a task; each line that it prints goes to `onLine`. `body` runs the task's body. It throws or
 * rejects as that does, or if it takes too long to stop, and returns a promise only if that does, since many tasks only
 * group their needs.
 */
export function openAttempt(node: TaskNode, run: Run, gate: Gate, onLine?: (line: string) => void) {
  const { id, input, label, task } = node;
  const { children, cleanups, emit, holder, redactor, settings, stop, terminal } = run;
  const lastLines: string[] = [];
  let abort: AbortController | undefined;
  let fail: ((error: TaskError) => void) | undefined;
  let stopping = false;
  /** True once it has ended; it may start nothing more. */
  let over = false;
  let report: 'changed' | 'unchanged' | undefined;
  gate.interrupts.add(interrupt);
  return { body, interrupt, close, lastLines, report: () => report };

  function body(): void | Promise<void> {
    const running = task.run === undefined ? runCommands(task.commands(input)) : task.run(context());
    // Anything but a promise is already done.
    if (typeof running !== 'object') return;
    return new Promise((resolve, reject) => {
      fail = reject;
      stop.waiting.add(idle);
      Promise.resolve(running).then(resolve, reject);
    });
  }

  function runCommands(commands: readonly string[] | Promise<readonly string[]>): void | Promise<void> {
    if ('then' in commands) return commands.then(runCommands);
    if (commands.length > 0) return runAll(commands);
  }

  async function runAll(commands: readonly string[]): Promise<void> {
    const options = (await run.shell?.(input.options)) ?? {};
    for (const command of commands) {
      // No code reads these streams separately, but JSON tells them apart.
      const pipe = settings.output !== 'json' && !task.interactive ? await takePipe() : undefined;
      try {
        // A template of one piece: the command is used as it is, without quoting.
        await shell(pipe)(options)(Object.assign([command], { raw: [command] }));
      } finally {
        returnPipe(pipe);
      }
    }
  }

  /** Fails the body, because nothing can end it any more. */
  function idle(): void {
    fail?.(
      new TaskError({
        what: `task \`${label}\` waits for something that never comes`,
        why: 'its promise has not settled, and nothing is left that could do it',
        advice: 'look for a promise that nobody resolves',
      }),
    );
  }

  function show(stream: OutputStream, line: string): void {
    if (lastLines.push(ownBeginning(line, keptLength)) > keptLines) lastLines.shift();
    emit({ type: 'task-output', id, stream, line });
    onLine?.(line);
  }

  /** Asks the body to stop, and abandons it some time after its children have ended. */
  function interrupt(gone: Promise<void>): void {
    stopping = true;
    abort?.abort();
    void gone.then(() => setTimeout(giveUp, bodyGraceMs).unref());
  }

  function giveUp(): void {
    if (over || fail === undefined) return;
    show('log', 'did not end when it was asked to; given up');
    fail(new TaskError({ what: `task \`${label}\` does not react to its signal` }));
  }

  /** Ends leftover processes of its commands. Returns a promise only if there are any. */
  function close(): void | Promise<void> {
    gate.interrupts.delete(interrupt);
    stop.waiting.delete(idle);
    over = true;
    if (children.has(id)) return children.end(id);
  }

  function context(): TaskContext {
    abort = new AbortController();
    if (stopping) abort.abort();
    return {
      ...input,
      verbose: settings.verbose,
      $: shell(),
      signal: abort.signal,
      print: (text) => emit({ type: 'task-result', id, text: text.endsWith('\n') ? text : `${text}\n` }),
      log: (text) => {
        for (const line of text.split('\n')) show('log', line);
      },
      progress: (text, share) => emit({ type: 'task-progress', id, text, share }),
      page: (rows) => emit({ type: 'task-page', id, rows }),
      report: (outcome) => {
        report = outcome;
      },
      // The type only allows text, but the value may come from a file or command.
      secret: (value: unknown) => {
        if (value !== undefined && value !== null) redactor.add(String(value));
      },
      onRunEnd: (cleanup) => void cleanups.push({ node, run: cleanup }),
    };
  }

  /** The shell of this attempt; the run knows its commands. */
  function shell(pipe?: OnePipe): Shell {
    const splitter = (stream: OutputStream) => lineSplitter(redactor, (line) => show(stream, line));
    return createShell({
      interactive: task.interactive ?? false,
      pipe,
      check: () => {
        if (run.cleaning) return;
        if (stopping) throw new TaskError({ what: 'the run was stopped' });
        if (!over) return;
        throw new TaskError({
          what: `task \`${label}\` starts a command after it has ended`,
          why: 'something that it began was not waited for',
          advice: `\`await\` all of it in \`run\`, see ${formatPlace(task.place)}`,
        });
      },
      spawn: (command, args, options, kind) =>
        children.spawn(id, command, args, options, { ...kind, holder }),
      end: (child) => void children.end(child),
      onCommand: (command) => emit({ type: 'task-command', id, command }),
      newOutput: () => ({
        stdout: splitter(pipe === undefined ? 'stdout' : 'output'),
        stderr: splitter('stderr'),
      }),
      redact: (text) => redactor.redact(text),
      pressure: terminal.pressure,
    });
  }
}
