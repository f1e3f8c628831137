import { formatPlace } from './call-site.ts';
import { lineSplitter } from './child-output.ts';
import { TaskError } from './errors.ts';
import type { RunEventBody } from './events.ts';
import { nestedEnvironment } from './nesting.ts';
import type { TaskNode } from './node.ts';
import { type OnePipe, returnPipe, takePipe } from './one-pipe.ts';
import { markEnvironment } from './orphans.ts';
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

/** One attempt at running a task. */
export class Attempt {
  readonly #node: TaskNode;
  readonly #run: Run;
  readonly #gate: Gate;
  #abort: AbortController | undefined;
  #reject: ((error: TaskError) => void) | undefined;
  readonly lastLines: string[] = [];
  #stopping = false;
  /** True once it has ended; it may start nothing more. */
  #over = false;
  report: 'changed' | 'unchanged' | undefined;
  onLine: ((line: string) => void) | undefined;

  constructor(node: TaskNode, run: Run, gate: Gate) {
    this.#node = node;
    this.#run = run;
    this.#gate = gate;
    gate.interrupts.add(this.#onStop);
  }

  /**
   * Runs the task's body. Throws or rejects as the body does, or if it takes too long to stop. Returns a promise only
   * if the body does, since many tasks only group their needs.
   */
  body(): void | Promise<void> {
    const running = this.#start();
    // Anything but a promise is already done.
    if (typeof running !== 'object') return;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#run.stop.waiting.add(this);
      Promise.resolve(running).then(resolve, reject);
    });
  }

  #start(): void | Promise<void> {
    const { task, input } = this.#node;
    if (task.run !== undefined) return task.run(this.#context());
    const commands = task.commands(input);
    if (!('then' in commands) && commands.length === 0) return;
    return this.#runCommands(commands);
  }

  async #runCommands(listed: readonly string[] | Promise<readonly string[]>): Promise<void> {
    const { input, task } = this.#node;
    const { settings, shell } = this.#run;
    const commands = await listed;
    if (commands.length === 0) return;
    const options = (await shell?.(input.options)) ?? {};
    for (const command of commands) {
      // No code reads these streams separately, but JSON tells them apart.
      const pipe = settings.output !== 'json' && !task.interactive ? await takePipe() : undefined;
      try {
        // A template of one piece: the command is used as it is, without quoting.
        await this.#shell(pipe)(options)(Object.assign([command], { raw: [command] }));
      } finally {
        returnPipe(pipe);
      }
    }
  }

  /** Fails the body, because nothing can end it any more. */
  idle(): void {
    this.#reject?.(
      new TaskError({
        what: `task \`${this.#node.label}\` waits for something that never comes`,
        why: 'its promise has not settled, and nothing is left that could do it',
        advice: 'look for a promise that nobody resolves',
      }),
    );
  }

  #show(stream: OutputStream, line: string): void {
    if (this.lastLines.push(ownBeginning(line, keptLength)) > keptLines) this.lastLines.shift();
    this.onLine?.(line);
    this.#run.emit({ type: 'task-output', id: this.#node.id, stream, line });
  }

  /** Deferred: the signal comes before the children are told to end, so waiting for them must start later. */
  readonly #onStop = (): void => this.interrupt(Promise.resolve().then(() => this.#gate.ended()));

  /** Asks the body to stop, and abandons it some time after its children have ended. */
  interrupt(gone: Promise<void>): void {
    this.#stopping = true;
    this.#abort?.abort();
    void gone.then(() => setTimeout(() => this.#giveUp(), bodyGraceMs).unref());
  }

  #giveUp(): void {
    if (this.#over || this.#reject === undefined) return;
    this.#show('log', 'did not end when it was asked to; given up');
    this.#reject(new TaskError({ what: `task \`${this.#node.label}\` does not react to its signal` }));
  }

  /** Ends leftover processes of its commands. Returns a promise only if there are any. */
  close(): void | Promise<void> {
    this.#gate.interrupts.delete(this.#onStop);
    this.#run.stop.waiting.delete(this);
    this.#over = true;
    if (this.#run.children.has(this.#node.id)) return this.#run.children.end(this.#node.id);
  }

  #context(): TaskContext {
    const { id, input } = this.#node;
    const { emit, redactor, cleanups, settings } = this.#run;
    this.#abort = new AbortController();
    if (this.#stopping) this.#abort.abort();
    return {
      ...input,
      verbose: settings.verbose,
      $: this.#shell(),
      signal: this.#abort.signal,
      print: (text) => emit({ type: 'task-result', id, text: text.endsWith('\n') ? text : `${text}\n` }),
      log: (text) => {
        for (const line of text.split('\n')) this.#show('log', line);
      },
      progress: (text, share) => emit({ type: 'task-progress', id, text, share }),
      page: (rows) => emit({ type: 'task-page', id, rows }),
      report: (outcome) => {
        this.report = outcome;
      },
      // The type only allows text, but the value may come from a file or command.
      secret: (value: unknown) => {
        if (value !== undefined && value !== null) redactor.add(String(value));
      },
      onRunEnd: (cleanup) => void cleanups.push({ node: this.#node, run: cleanup }),
    };
  }

  /** The shell of this attempt; the run knows its commands. */
  #shell(pipe?: OnePipe): Shell {
    const { id, task } = this.#node;
    const { children, emit, holder, redactor, terminal } = this.#run;
    const splitter = (stream: OutputStream) => lineSplitter(redactor, (line) => this.#show(stream, line));
    return createShell({
      interactive: task.interactive ?? false,
      pipe,
      check: () => {
        if (this.#run.cleaning) return;
        if (this.#stopping) throw new TaskError({ what: 'the run was stopped' });
        if (!this.#over) return;
        throw new TaskError({
          what: `task \`${this.#node.label}\` starts a command after it has ended`,
          why: 'something that it began was not waited for',
          advice: `\`await\` all of it in \`run\`, see ${formatPlace(task)}`,
        });
      },
      spawn: (command, args, options, { interactive, daemons }) => {
        const mark = daemons ? markEnvironment(undefined) : holder && markEnvironment(holder);
        const env = { ...options.env, ...nestedEnvironment(), ...mark };
        return children.spawn(id, command, args, { ...options, env }, interactive);
      },
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
