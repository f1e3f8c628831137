import { writeSync } from 'node:fs';
import type { Terminal } from '../output/terminal.ts';
import { onSuspend } from '../suspend.ts';
import { decodeKeys, type Key } from './keys.ts';

/** A lone Escape is the key; a terminal sends the other bytes of a sequence well within this time. */
const escapeMs = 50;
const hideCursor = '\u001B[?25l';
const showCursor = '\u001B[?25h';

/**
 * A few lines at the bottom of the terminal that are drawn again and again, and the keys that are pressed meanwhile. From
 * `open` to `close` the terminal is in raw mode without a cursor; an end of the process that nobody planned puts both back too.
 */
export class Screen {
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  readonly #keys: Key[] = [];
  #wake: (() => void) | undefined;
  #pending = '';
  #timer: NodeJS.Timeout | undefined;
  #height = 0;
  #over = false;
  #redraw: (() => void) | undefined;
  #forgetSuspend: (() => void) | undefined;

  constructor(terminal: Terminal, signal: AbortSignal) {
    this.#terminal = terminal;
    this.#signal = signal;
  }

  open(): void {
    const { stdin, stderr } = process;
    process.once('exit', this.#onExit);
    stdin.setRawMode(true);
    stdin
      .setEncoding('utf8')
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onEnd)
      .resume();
    stderr.on('resize', this.#onResize);
    this.#signal.addEventListener('abort', this.#onEnd, { once: true });
    this.#terminal.err(hideCursor);
    this.#forgetSuspend = onSuspend({ hide: () => this.#leave(), show: () => this.#enter() });
  }

  /** Takes the lines away and gives the terminal back. */
  close(): void {
    const { stdin, stderr } = process;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onEnd);
    stderr.removeListener('resize', this.#onResize);
    stdin
      .removeListener('data', this.#onData)
      .removeListener('end', this.#onEnd)
      .removeListener('error', this.#onEnd);
    stdin.pause();
    this.#forgetSuspend?.();
    this.#leave();
    process.removeListener('exit', this.#onExit);
  }

  /** How many lines a drawing may have. A pseudo-terminal without a size says 0. */
  get rows(): number {
    return process.stderr.rows || 24;
  }

  /** Draws lines in place of the ones before, and again after a change of the terminal's size. */
  draw(lines: () => readonly string[]): void {
    this.#redraw = () => {
      const shown = lines();
      const before = this.#clear();
      this.#height = shown.length;
      this.#terminal.err(before + shown.join('\r\n'));
    };
    // Of what is typed at once only the end needs to be shown.
    if (this.#keys.length === 0) this.#redraw();
  }

  /** The next key; `leave` when the terminal is closed or the run is stopped. */
  async key(): Promise<Key> {
    while (this.#keys.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#keys.shift() ?? { name: 'leave' };
  }

  /** Gives the terminal to the shell for a while. */
  #leave(): void {
    process.stdin.setRawMode(false);
    this.#terminal.err(`${this.#clear()}${showCursor}`);
    this.#terminal.flush?.();
  }

  #enter(): void {
    process.stdin.setRawMode(true);
    this.#terminal.err(hideCursor);
    this.#redraw?.();
  }

  #clear(): string {
    const up = this.#height > 1 ? `\u001B[${this.#height - 1}A` : '';
    this.#height = 0;
    return `\r${up}\u001B[J`;
  }

  readonly #onData = (data: string): void => {
    clearTimeout(this.#timer);
    const { keys, rest } = decodeKeys(this.#pending + data);
    for (const key of keys) {
      // In raw mode the terminal sends no signal; to our whole group, as it would.
      if (key.name === 'suspend') process.kill(0, 'SIGTSTP');
      else this.#keys.push(key);
    }
    this.#pending = rest;
    if (rest !== '') this.#timer = setTimeout(this.#onEscape, escapeMs);
    this.#wake?.();
  };

  readonly #onEscape = (): void => {
    this.#pending = '';
    this.#keys.push({ name: 'leave' });
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#over = true;
    this.#wake?.();
  };

  readonly #onResize = (): void => this.#redraw?.();

  /** Node itself leaves raw mode at its end; of the cursor it knows nothing. */
  readonly #onExit = (): void => {
    try {
      writeSync(2, showCursor);
    } catch {}
  };
}
