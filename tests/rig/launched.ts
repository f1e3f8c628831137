import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Arriving, within } from '../../lib/runner/tests/rig/rig.ts';

/** A started command line with its output, in a terminal of script(1) or not. */
export class Launched {
  readonly child: ChildProcess;
  /** The exit code, or the signal's name. In a terminal always a code, because script passes it on like a shell. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
  readonly #variable: string;
  readonly #shown = new Arriving();

  /** `variable` is one that only its processes have in their environment, as `NAME=value`. */
  constructor(child: ChildProcess, variable: string) {
    this.child = child;
    this.#variable = variable;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#shown.add(text));
    child.stdin?.on('error', () => {});
    this.exit = within(
      // Not `close`: processes that outlive the line would keep its output open.
      new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
      'the end of the line',
    );
    this.exit.catch(() => this.end());
  }

  /** Presses a key: `\x03` is Ctrl-C. */
  type(text: string): void {
    this.child.stdin?.write(text);
  }

  get shown(): string {
    return this.#shown.text;
  }

  /** Resolves when this was shown. */
  shows(text: string | RegExp): Promise<void> {
    return this.#shown.holds(text);
  }

  /** Every running process that the line started, directly or not, without the first one. */
  processes(): number[] {
    return processesWith(this.#variable).filter((pid) => pid !== this.child.pid);
  }

  /** Ends what a failed test left. */
  end(): void {
    for (const pid of [...this.processes(), this.child.pid ?? 0]) {
      try {
        if (pid > 0) process.kill(pid, 'SIGKILL');
      } catch {
        // Already ended.
      }
    }
  }
}

/** Running processes with this variable, given as `NAME=value`, in the environment that they were started with. */
export function processesWith(variable: string): number[] {
  const bytes = Buffer.from(variable).toString('latin1');
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      // A zombie has no environment.
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(bytes);
    } catch {
      return false;
    }
  });
}
