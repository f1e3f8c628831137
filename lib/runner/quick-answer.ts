import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isatty } from 'node:tty';

// Nothing is imported here but Node itself: every further file of ours is a part of the time that this saves.

/** What a command line asks, and all that its answer looks like depends on. */
export type Question = { readonly main: string; readonly key: string };

export type Answers = {
  readonly main: string;
  /** What the answers were made from, see `stampOf`. */
  readonly sources: readonly string[];
  readonly answers: { readonly [key: string]: string };
};

const shareKey = Symbol.for('task-runner');

type Shared = {
  /** What `quickAnswer` could not answer. */
  asked?: Question;
  /** Tasks were run, so that all of a library that a run needs is compiled. */
  ran?: boolean;
  /** Built libraries, and what each was built from. More than one where tasks of several clones are in use. */
  readonly libraries: { readonly file: string; readonly sources: readonly string[] }[];
};

/** Command lines whose answer follows from the sources alone. */
const answerable = [
  /^(list|--list|-l)?$/,
  /^(--help|-h)$/,
  /^--version$/,
  /^completion (bash|zsh|fish)$/,
] as const;

/**
 * What this process knows once, although this module is there twice: as the file that is imported first, and as a part of the built
 * library.
 */
export const shared: Shared = (globalThis as { [shareKey]?: Shared })[shareKey] ?? { libraries: [] };
(globalThis as { [shareKey]?: Shared })[shareKey] = shared;

/**
 * Answers `list`, `--help`, `--version` and `completion` from what an earlier process remembered, as long as none of the files
 * that the answer was made from has changed, and returns the exit code. Undefined when nothing is remembered: go on to
 * `runCli`, which then remembers its answer. To be called before the tasks are imported; that is what it saves.
 */
export function quickAnswer(
  argv: readonly string[],
  known: { readonly version?: () => string } = {},
): number | undefined {
  if (known.version !== undefined && argv.length === 1 && argv[0] === '--version') {
    write(`${known.version()}\n`);
    return 0;
  }
  if (!answerable.some((form) => form.test(argv.join(' ')))) return undefined;
  const main = mainFile();
  if (main === undefined) return undefined;
  shared.asked = { main, key: JSON.stringify([argv, ...view()]) };
  const text = remembered(shared.asked);
  if (text === undefined) return undefined;
  write(text);
  return 0;
}

/** What `quickAnswer` could not answer in this process, so that whoever can may remember it. */
export function openQuestion(): Question | undefined {
  return shared.asked;
}

/** The real path of the file that Node was started with. */
export function mainFile(): string | undefined {
  try {
    return realpathSync(process.argv[1] ?? '');
  } catch {
    return undefined;
  }
}

/**
 * The folder for what is remembered of the program with this main file: below the user's cache folder, so that a clone stays
 * as it is and may be read-only. Undefined where there can be none.
 */
export function memoryFolder(main: string): string | undefined {
  const name = main.replaceAll('/', '%');
  // Longer names are taken by no file system.
  if (Buffer.byteLength(name) > 255) return undefined;
  const { XDG_CACHE_HOME: configured, HOME: home } = process.env;
  // A relative one does not count, as its specification says.
  if (configured?.startsWith('/')) return join(configured, 'task-runner', name);
  return home?.startsWith('/') ? join(home, '.cache', 'task-runner', name) : undefined;
}

/**
 * Writes a file of the memory as a whole, so that a reader sees the old or the new one. Where nothing can be kept nothing is: the
 * next process does the same work again.
 */
export function keep(folder: string, name: string, content: string | Buffer): void {
  const temporary = join(folder, `${name}.${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, content, { mode: 0o600 });
    renameSync(temporary, join(folder, name));
  } catch {
    // A full disk, a folder that is not ours: never a reason for a run to fail.
    attempt(() => rmSync(temporary, { force: true }));
  }
}

/** Does what may fail without harm. */
export function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // As if it had not been tried.
  }
}

/**
 * Size and times of a file or folder, in the form of `stat -c '%s %.9Y %.9Z %n'` so that a shell can compare it; the path alone,
 * after `absent`, where there is none. The time of the last change of the inode cannot be set by anybody, so a file that is
 * replaced by an older one of the same size is seen too. A folder stands for the names in it.
 */
export function stampOf(path: string): string {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return `absent ${path}`;
  return `${status.size} ${seconds(status.mtimeNs)} ${seconds(status.ctimeNs)} ${path}`;
}

/** The path of a stamp. */
export function stampedPath(stamp: string): string {
  return stamp.replace(/^(absent|\d+ [\d.-]+ [\d.-]+) /, '');
}

export function isCurrent(stamps: readonly string[]): boolean {
  return stamps.every((stamp) => stampOf(stampedPath(stamp)) === stamp);
}

function seconds(nanoseconds: bigint): string {
  return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`;
}

function remembered({ main, key }: Question): string | undefined {
  const folder = memoryFolder(main);
  if (folder === undefined) return undefined;
  try {
    const memory = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8')) as Answers;
    const text = memory.main === main ? memory.answers[key] : undefined;
    return text !== undefined && isCurrent(memory.sources) ? text : undefined;
  } catch {
    // Not there, not readable, or of another version: as good as nothing remembered.
    return undefined;
  }
}

/** Width, colour and alphabet of the answer; `process.stdout` itself is only made where it is a terminal, since that takes a while. */
function view(): unknown[] {
  const { NO_COLOR, FORCE_COLOR, COLUMNS, TERM, LC_ALL, LC_CTYPE, LANG, CI } = process.env;
  const columns = isatty(1) ? process.stdout.columns : null;
  return [columns, isatty(2), NO_COLOR, FORCE_COLOR, COLUMNS, TERM, LC_ALL, LC_CTYPE, LANG, CI];
}

/** Writes to stdout without making `process.stdout`. A reader that has gone away is not an error. */
function write(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    // A pipe that was made non-blocking by its other users is full: the stream waits where we cannot.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') process.stdout.on('error', () => {}).write(rest);
  }
}
