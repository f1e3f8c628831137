import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { processStartTime } from '../../process-identity.ts';
import type { Question, Readiness, TaskDefinition } from '../../runner.ts';
import { bundled } from './ended.ts';
import { temporaryFolder, useFolder } from './folder.ts';

export { folder } from './folder.ts';

/** A task of the program `tasks.ts`; `commands` are mostly made by `Rig.command`. */
export type RigTask = Pick<
  TaskDefinition<never>,
  'name' | 'interactive' | 'private' | 'timeoutMs' | 'retries' | 'retryDelayMs'
> & {
  readonly commands?: readonly string[];
  readonly needs?: readonly string[];
  readonly secrets?: readonly string[];
  /** A command for the end of the run; it gets the outcome as its last word. */
  readonly cleanup?: string;
  readonly behaviour?: 'wait' | 'bug' | 'stray';
  readonly confirm?: Question;
  readonly lock?: boolean | string;
  /** Given to `$` for each of its commands. */
  readonly explicit?: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv };
  /** May be declared later than this one. */
  readonly finally?: readonly string[];
  readonly ready?: Readiness;
  /** Without a `run` of its own: the runner runs its `commands`. */
  readonly plain?: boolean;
  readonly inputs?: readonly string[];
  readonly watched?: readonly string[];
  readonly status?: string;
};

type Started = { readonly name: string; readonly pid: number; readonly words: readonly string[] };

type Message = { readonly event: string; readonly [field: string]: unknown };

const here = fileURLToPath(new URL('.', import.meta.url));

/** Rejects when what a test waits for does not come: uvu itself has no time limit. */
export function within<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  const deadlineMs = Number(process.env.RIG_DEADLINE_MS ?? 30_000);
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${deadlineMs} ms`)), deadlineMs);
    // What a finished test no longer waits for does not keep its file running.
    timer.unref();
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What arrives and is waited for, in whatever order these two happen. */
class Arrivals {
  readonly #looks = new Set<() => void>();

  protected look(): void {
    for (const look of [...this.#looks]) look();
  }

  until<Found>(find: () => Found | undefined, what: string): Promise<Found> {
    const found = new Promise<Found>((resolve) => {
      const look = (): void => {
        const seen = find();
        if (seen === undefined) return;
        this.#looks.delete(look);
        resolve(seen);
      };
      this.#looks.add(look);
      look();
    });
    return within(found, what);
  }
}

export class Arriving extends Arrivals {
  text = '';

  add(more: string): void {
    this.text += more;
    this.look();
  }

  override until<Found>(find: () => Found | undefined, what: string): Promise<Found> {
    return super.until(find, what).catch((error: Error) => {
      throw new Error(`${error.message}; shown: ${this.text}`);
    });
  }

  async holds(wanted: string | RegExp): Promise<void> {
    const has = () => (typeof wanted === 'string' ? this.text.includes(wanted) : wanted.test(this.text));
    await this.until(() => has() || undefined, `"${wanted}"`);
  }
}

class Mailbox<Item> extends Arrivals {
  readonly #items: Item[] = [];

  put(item: Item): void {
    this.#items.push(item);
    this.look();
  }

  take(wanted: (item: Item) => boolean, what: string): Promise<Item> {
    const find = (): Item | undefined => {
      const place = this.#items.findIndex(wanted);
      return place < 0 ? undefined : this.#items.splice(place, 1)[0];
    };
    return this.until(find, what);
  }

  has(wanted: (item: Item) => boolean): boolean {
    return this.#items.some(wanted);
  }
}

/** One running command, at the other end of its socket. */
export class Invocation {
  readonly name: string;
  readonly pid: number;
  readonly words: readonly string[];
  /** Resolves when its process is gone, however it ended. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #messages = new Mailbox<Message>();

  constructor(socket: Socket, { name, pid, words }: Started) {
    this.name = name;
    this.pid = pid;
    this.words = words;
    this.#socket = socket;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.ended = within(closed, `the end of ${name}`);
    this.ended.catch(() => {});
  }

  hear(message: Message): void {
    this.#messages.put(message);
  }

  async print(text: string, to: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    await this.#ask({ action: 'print', text, to }, 'printed');
  }

  /** Prints without waiting for its answer, which does not come when the run ends it meanwhile. */
  say(text: string): void {
    this.#send({ action: 'print', text, to: 'stdout' });
  }

  async trap(signal: NodeJS.Signals): Promise<void> {
    await this.#ask({ action: 'trap', signal }, 'trapped');
  }

  async environment(variable: string): Promise<unknown> {
    return (await this.#ask({ action: 'environment', variable }, 'environment')).value;
  }

  spawn(name: string): void {
    this.#send({ action: 'spawn', name });
  }

  async signalled(signal: NodeJS.Signals): Promise<void> {
    await this.#messages.take((message) => message.signal === signal, `${signal} at ${this.name}`);
  }

  /** Whether a trapped signal has arrived and was not asked for by `signalled`. */
  hasSignalled(signal: NodeJS.Signals): boolean {
    return this.#messages.has((message) => message.signal === signal);
  }

  async exit(code = 0): Promise<void> {
    this.#send({ action: 'exit', code });
    await this.ended;
  }

  #ask(message: object, event: string): Promise<Message> {
    this.#send(message);
    return this.#messages.take((answer) => answer.event === event, `${event} of ${this.name}`);
  }

  #send(message: object): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }
}

export class RunnerProcess {
  readonly child: ChildProcess;
  stdout = '';
  /** The exit code, or the signal's name for a process that was ended by one. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
  readonly #stderr = new Arriving();

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => this.#stderr.add(String(chunk)));
    const exit = once(child, 'close').then(([code, signal]) => code ?? signal);
    this.exit = within(exit, 'the end of the run');
    this.exit.catch(() => child.kill('SIGKILL'));
  }

  async ends(code: number): Promise<this> {
    assert.is(await this.exit, code, this.stderr);
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  says(text: string | RegExp): Promise<void> {
    return this.#stderr.holds(text);
  }
}

let program: Promise<string> | undefined;

/** The bundled `tasks.ts`, one for all of this process. */
export function rigProgram(): Promise<string> {
  program ??= bundled(`${here}tasks.ts`);
  return program;
}

export class Rig {
  readonly #server: Server;
  readonly #invocations = new Mailbox<Invocation>();
  readonly #pids = new Set<number>();
  readonly #runs = new Set<RunnerProcess>();

  /** What the runs of this rig remember, and the lock of tasks that just want one. */
  readonly memory: string;
  readonly lock: string;

  readonly program: string;

  private constructor(server: Server, memory: string, program: string) {
    this.#server = server;
    this.memory = memory;
    this.lock = `${memory}.lock`;
    this.program = program;
    server.on('connection', (socket) => this.#onConnection(socket));
  }

  static async open(): Promise<Rig> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Rig(server, temporaryFolder(), await rigProgram());
  }

  command(name: string): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${process.execPath} ${here}child.mjs ${port} ${name}`;
  }

  next(name: string): Promise<Invocation> {
    return this.#invocations.take((invocation) => invocation.name === name, `the start of ${name}`);
  }

  /** Lets commands of these names start and end, one after another. */
  async pass(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const invocation = await this.next(name);
      for (const other of names) assert.not(this.hasStarted(other), `${other} beside ${name}`);
      await invocation.exit();
    }
  }

  /** Whether such a command was started and not yet taken by `next`. */
  hasStarted(name: string): boolean {
    return this.#invocations.has((invocation) => invocation.name === name);
  }

  /** Starts `tests/rig/tasks.ts` with these tasks, by default the last of them. */
  run(
    tasks: readonly RigTask[],
    args: readonly string[] = [tasks.at(-1)?.name ?? ''],
    env: NodeJS.ProcessEnv = {},
  ): RunnerProcess {
    const { CI: _c, GITHUB_ACTIONS: _h, GITLAB_CI: _l, ...inherited } = process.env;
    const places = { RIG_MEMORY: this.memory, RIG_LOCK: this.lock };
    const own = { ...inherited, NO_COLOR: '1', LC_ALL: 'C.UTF-8', ...places };
    const child = spawn(process.execPath, [this.program, ...args], {
      env: { ...own, ...env, RIG_TASKS: JSON.stringify(tasks) },
      cwd: `${here}../..`,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const run = new RunnerProcess(child);
    this.#runs.add(run);
    return run;
  }

  /** Pids of invocations that still live; a zombie does not. */
  async survivors(): Promise<number[]> {
    const pids = [...this.#pids];
    const times = await Promise.all(pids.map(processStartTime));
    return pids.filter((_, index) => times[index] !== undefined);
  }

  /** Nothing may be left; what a failed test has left is ended. */
  async close(): Promise<void> {
    const left = await this.survivors();
    this.#pids.clear();
    for (const run of this.#runs) run.kill('SIGKILL');
    for (const pid of left) process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => this.#server.close(resolve));
    assert.equal(left, []);
  }

  #onConnection(socket: Socket): void {
    let invocation: Invocation | undefined;
    const hear = (line: string): void => {
      const message = JSON.parse(line);
      if (invocation === undefined) {
        invocation = new Invocation(socket, message);
        this.#pids.add(invocation.pid);
        this.#invocations.put(invocation);
      } else invocation.hear(message);
    };
    // A killed child resets its connection, one more way to end.
    for (const end of [createInterface({ input: socket }).on('line', hear), socket])
      end.on('error', () => {});
  }
}

/** Of the test that runs, see `useRig`. */
export let rig: Rig;

/** A task of that rig whose command does what the test tells it. */
export function driven(name: string, more: Partial<RigTask> = {}): RigTask {
  return { name, commands: [rig.command(name)], ...more };
}

export function useRig(test: Test): void {
  useFolder(test);
  test.before.each(async () => {
    rig = await Rig.open();
  });
  test.after.each(() => rig.close());
}
