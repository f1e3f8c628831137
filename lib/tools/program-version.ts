import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { formatVersion, parseVersion, type Version } from './versions.ts';

const answerWithinMs = 15_000;

type Remembered = { readonly size: number; readonly modified: number; readonly version: string };

let memory: { file: string; programs: Map<string, Remembered> } | undefined;

/**
 * The version that a program tells on stdout (else stderr), or undefined when it does not answer well. An answer is
 * remembered by the program's real path, size and time of change, so that asking costs nothing the next time.
 */
export async function askVersion(program: string, words: readonly string[]): Promise<Version | undefined> {
  const real = realpathSync(program);
  const { size, mtimeMs } = statSync(real);
  const key = [real, ...words].join(' ');
  const steady = isSteady(program, real);
  const known = steady ? programs().get(key) : undefined;
  if (known?.version !== undefined && known.size === size && known.modified === mtimeMs)
    return parseVersion(known.version);
  const version = parseVersion((await run(program, words)) ?? '');
  if (version !== undefined && steady) {
    programs().set(key, { size, modified: mtimeMs, version: formatVersion(version) });
    await save();
  }
  return version;
}

/**
 * A script, or a link to a program of another name (version managers put such things on PATH), may stand for another version
 * tomorrow without a change of its own: it is asked every time.
 */
function isSteady(program: string, real: string): boolean {
  if (basename(program) !== basename(real)) return false;
  const file = openSync(real, 'r');
  try {
    const start = Buffer.alloc(2);
    readSync(file, start, 0, 2, 0);
    return start.toString('latin1') !== '#!';
  } finally {
    closeSync(file);
  }
}

function run(program: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    // No stdin: a program that would ask a question ends instead of waiting for an answer.
    const child = execFile(
      program,
      words,
      { timeout: answerWithinMs, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        resolve(error === null ? (stdout.trim() === '' ? stderr : stdout) : undefined);
      },
    );
    child.stdin?.end();
  });
}

function memoryFile(): string {
  return join(cacheFolder(), 'versions.json');
}

function programs(): Map<string, Remembered> {
  const file = memoryFile();
  if (memory?.file === file) return memory.programs;
  let entries: [string, Remembered][] = [];
  try {
    entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // None yet, or damaged: it is only a memory.
  }
  memory = { file, programs: new Map(entries) };
  return memory.programs;
}

/** A cache that cannot be written only makes the next question slower: no error. */
async function save(): Promise<void> {
  const file = memoryFile();
  try {
    await mkdir(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, JSON.stringify(Object.fromEntries(programs())));
    await rename(temporary, file);
  } catch {}
}
