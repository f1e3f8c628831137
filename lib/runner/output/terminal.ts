import type { BackPressure } from '../child-output.ts';

/** A run's output: results on stdout, everything else on stderr. */
export type Terminal = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** True if stderr is a terminal that can be redrawn. */
  readonly isTerminal: boolean;
  /** True if stdout is no terminal, and a page drawn on stderr would miss it. */
  readonly isPiped?: boolean;
  readonly columns: () => number;
  readonly rows?: () => number;
  readonly style: Style;
  /** Notified of each write to stderr; set by runs, which alone print so much. */
  pressure?: BackPressure;
  /** Immediately writes what `err` has buffered. */
  readonly flush?: () => void;
  readonly close?: () => void;
};

/** How texts look: colours, and the symbols that the locale can show. */
export type Style = ReturnType<typeof createStyle>;

const unicode = {
  done: '✓',
  failed: '✗',
  running: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
  bar: '│',
  full: '█',
  empty: '░',
  ellipsis: '…',
  arrow: '→',
};
const ascii: typeof unicode = {
  done: 'ok',
  failed: 'x',
  running: ['|', '/', '-', '\\'],
  bar: '|',
  full: '#',
  empty: '-',
  ellipsis: '...',
  arrow: '->',
};

/** Characters buffered for one write. */
const batchLength = 64 * 1024;

/**
 * This process's stdout and stderr. A missing reader (EPIPE) or a closed terminal (EIO) is not an error: output is
 * dropped, and `onLogLost` is called for stderr. Any other error, such as a full disk, lets the run go on, and makes its
 * exit code 1 if it is 0.
 */
export function openTerminal(onLogLost: () => void): Terminal {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr])
    if (!stream.listeners('error').includes(onError)) stream.on('error', onError);
  loseLog = onLogLost;
  let waiting = '';
  const flush = (): void => {
    const text = waiting;
    waiting = '';
    if (text === '' || gone.has(stderr) || terminal.pressure?.overflows(stderr)) return;
    stderr.write(text);
    terminal.pressure?.note(stderr);
  };
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  const isUnicode = /utf-?8/i.test(locale) || process.platform === 'darwin';
  // In case of a sudden `process.exit`.
  process.once('exit', flush);
  const terminal: Terminal = {
    out: (text) => {
      flush();
      if (!gone.has(stdout)) stdout.write(text);
    },
    err: (text) => {
      // Lines of one chunk, or of many small tasks, are written together, before the process does anything else.
      if (waiting === '') process.nextTick(flush);
      waiting += text;
      if (waiting.length > batchLength) flush();
    },
    isTerminal: stderr.isTTY === true && env.TERM !== 'dumb',
    isPiped: stdout.isTTY !== true,
    // A pseudo-terminal without a size reports 0.
    columns: () => stderr.columns || 80,
    rows: () => stderr.rows || 24,
    style: createStyle(wantsColor(stderr.isTTY === true, env), isUnicode),
    flush,
    close: () => {
      flush();
      process.removeListener('exit', flush);
      loseLog = undefined;
    },
  };
  return terminal;
}

/** Streams of this process that cannot be written any more. */
const gone = new Set<unknown>();
/** What the open terminal does without a log. */
let loseLog: (() => void) | undefined;

/** Stays after the end of a run: a pending write may fail, which would be thrown without a listener. */
function onError(this: NodeJS.WriteStream, { code, message }: NodeJS.ErrnoException): void {
  if (gone.has(this)) return;
  gone.add(this);
  const { stdout, stderr } = process;
  if (code === 'EPIPE' || code === 'EIO') {
    if (this === stderr) loseLog?.();
    return;
  }
  if (this === stdout) stderr.write(`error: cannot write all results\n  why: ${message}\n`);
  // The only place left for a message, unless it could be taken for a result.
  else if (stdout.isTTY) stdout.write(`error: cannot write the log\n  why: ${message}\n`);
  // May come after the run has ended and set its exit code.
  process.once('exit', () => {
    process.exitCode ||= 1;
  });
}

export function createStyle(color: boolean, isUnicode: boolean) {
  const paint =
    (open: number, close: number) =>
    (text: string): string =>
      color && text !== '' ? `\u001B[${open}m${text}\u001B[${close}m` : text;
  return {
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
    dim: paint(2, 22),
    bold: paint(1, 22),
    symbols: isUnicode ? unicode : ascii,
  };
}

/** https://no-color.org: any non-empty value. */
function wantsColor(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return !['0', 'false'].includes(env.FORCE_COLOR);
  return isTerminal && env.TERM !== 'dumb';
}
