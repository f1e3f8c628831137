import { type ChildProcess, spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { Arriving, within } from './rig.ts';

/** A command in a pseudo-terminal of 80 by 24, made by `script` of util-linux. */
export class PseudoTerminal {
  readonly child: ChildProcess;
  /** The command's exit code; 128 + n for signal n. */
  readonly exit: Promise<number | null>;
  readonly #shown = new Arriving();
  #seen = 0;

  constructor(command: string, options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv }) {
    const { NO_COLOR: _, CI: __, ...inherited } = process.env;
    this.child = spawn('script', ['-qfec', `stty cols 80 rows 24; exec ${command}`, '/dev/null'], {
      cwd: options.cwd,
      env: { ...inherited, TERM: 'xterm', LC_ALL: 'C.UTF-8', SHELL: '/bin/sh', ...options.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#shown.add(text));
    this.exit = within(new Promise((resolve) => this.child.once('close', resolve)), `the end of ${command}`);
    this.exit.catch(() => this.child.kill('SIGKILL'));
  }

  get raw(): string {
    return this.#shown.text;
  }

  get text(): string {
    return stripVTControlCharacters(this.raw);
  }

  type(keys: string): void {
    this.child.stdin?.write(keys);
  }

  /** Resolves with what was shown up to this text, counted from the end of what was waited for before. */
  async shows(wanted: string | RegExp): Promise<string> {
    const find = (): string | undefined => {
      const rest = this.text.slice(this.#seen);
      const found = typeof wanted === 'string' ? wanted : wanted.exec(rest)?.[0];
      const place = found === undefined ? -1 : rest.indexOf(found);
      return found === undefined || place < 0 ? undefined : rest.slice(0, place + found.length);
    };
    const found = await this.#shown.until(find, String(wanted));
    this.#seen += found.length;
    return found;
  }
}
