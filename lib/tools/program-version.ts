import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from './cache.ts';
import type { ToolEntry } from './manifest.ts';
import { versionIn } from './versions.ts';

const answerWithinMs = 15_000;

type Remembered = { readonly size: number; readonly modified: number; readonly version: string };

let memory: { file: string; programs: Map<string, Remembered> } | undefined;

type Asked = Pick<ToolEntry, 'versionCommand' | 'answers'>;

/**
 * The version that a program tells on stdout (else stderr), or `problem`: why it tells none, or another name than the manifest
 * expects. An answer is remembered by the program's real path, size and time of change, so that asking costs nothing the next time.
 */
export async function askVersion(
  program: string,
  entry: Asked,
): Promise<{ readonly version: string } | { readonly problem: string }> {
  const real = realpathSync(program);
  const { size, mtimeMs } = statSync(real);
  const key = [real, ...entry.versionCommand, ...(entry.answers === undefined ? [] : [entry.answers])].join(
    ' ',
  );
  const steady = isSteady(program, real);
  const known = steady ? programs().get(key) : undefined;
  const remembered =
    known?.size === size && known.modified === mtimeMs ? versionIn(known.version) : undefined;
  if (remembered !== undefined) return { version: remembered };
  const answer = await ask(program, entry.versionCommand);
  if ('problem' in answer) return answer;
  const version = versionOf(answer.output, entry);
  if (version === undefined) return { problem: `is another program: it answers ${firstLine(answer.output)}` };
  if (steady) {
    programs().set(key, { size, modified: mtimeMs, version });
    await save();
  }
  return { version };
}

/** The version in an answer, or undefined when there is none or the answer is another program's. */
export function versionOf(output: string, { answers }: Pick<Asked, 'answers'>): string | undefined {
  return output.startsWith(answers ?? '') ? versionIn(output) : undefined;
}

/** The first line of an answer, quoted. */
export const firstLine = (output: string): string =>
  JSON.stringify(output.trim().split('\n')[0]?.slice(0, 100));

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

/** What a program says on stdout (else stderr) when it is run with these words, or why it says nothing. */
export function ask(
  program: string,
  words: readonly string[],
): Promise<{ readonly output: string } | { readonly problem: string }> {
  return new Promise((resolve) => {
    // No stdin: a program that would ask a question ends instead of waiting for an answer.
    const child = execFile(
      program,
      words,
      { timeout: answerWithinMs, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ output: stdout.trim() === '' ? stderr : stdout });
        const refused = cannotRun[String(error.code)];
        const command = [basename(program), ...words].join(' ');
        const end = error.killed
          ? ` within ${answerWithinMs / 1000} s`
          : error.signal
            ? `: it was ended by ${error.signal}`
            : `: exit code ${error.code}`;
        return resolve({ problem: refused ?? `does not tell its version by \`${command}\`${end}` });
      },
    );
    child.stdin?.end();
  });
}

/** A program that is there cannot be started: by the error of execve(2). */
const cannotRun: { readonly [code: string]: string } = {
  // The file that is missing is the one that the program names as its loader.
  ENOENT:
    'cannot run here: its loader is missing (it was made for glibc; Alpine and NixOS have none in its place)',
  ENOEXEC: 'cannot run here: it was made for another kind of machine',
  EACCES: 'cannot run here: programs may not be started from its folder (mounted noexec?)',
};

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
