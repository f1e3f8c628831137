import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beginningOf, cacheFolder, fillEntry } from './cache.ts';
import type { PinnedTool, ToolEntry } from './manifest.ts';
import type { Failure, ToolContext, WayResult } from './tool-context.ts';
import { versionIn } from './versions.ts';

/** A test waits for a shorter time. */
export const patience = { ms: 15_000 };

/** Programs that did not answer in time, which are not asked again. */
const silent = new Map<string, Failure>();

type CachedVersion = { readonly size: number; readonly modified: number; readonly version: string };

type Asked = Pick<ToolEntry, 'versionCommand' | 'answers'>;

/**
 * The version that a program prints, or why there is none or that it is another program. Cached by the program's real
 * path, size and modification time.
 */
export async function askVersion(
  program: string,
  entry: Asked,
): Promise<{ readonly version: string } | Failure> {
  const real = realpathSync(program);
  const { size, mtimeMs } = statSync(real);
  const key = [real, ...entry.versionCommand, ...(entry.answers === undefined ? [] : [entry.answers])].join(
    ' ',
  );
  const steady = isSteady(program, real);
  const known = steady ? cachedVersions()[key] : undefined;
  const cached = known?.size === size && known.modified === mtimeMs ? versionIn(known.version) : undefined;
  if (cached !== undefined) return { version: cached };
  const answer = await ask(program, entry.versionCommand);
  if ('reason' in answer) return answer;
  const version = versionOf(answer.output, entry);
  if (version === undefined) return { reason: `is another program: it prints ${firstLine(answer.output)}` };
  if (steady) cacheVersion(key, { size, modified: mtimeMs, version });
  return { version };
}

/** The version in an answer; undefined if there is none or another program answered. */
function versionOf(output: string, { answers }: Pick<Asked, 'answers'>): string | undefined {
  return output.startsWith(answers ?? '') ? versionIn(output) : undefined;
}

const firstLine = (output: string): string => JSON.stringify(output.trim().split('\n')[0]?.slice(0, 100));

/**
 * False for a script or a link to a program with another name, as version managers have: without any change, they may
 * run another version, so they are always asked.
 */
function isSteady(program: string, real: string): boolean {
  return basename(program) === basename(real) && beginningOf(real, 2) !== '#!';
}

/** A program's stdout (or else stderr), or why it prints nothing. */
function ask(program: string, words: readonly string[]): Promise<{ readonly output: string } | Failure> {
  const command = [program, ...words].join(' ');
  const known = silent.get(command);
  if (known !== undefined) return Promise.resolve(known);
  return new Promise((resolve) => {
    // Without stdin, a program that asks a question ends instead of waiting.
    const child = execFile(
      program,
      words,
      { timeout: patience.ms, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ output: stdout.trim() === '' ? stderr : stdout });
        const refused = cannotRun[String(error.code)];
        const end = error.killed
          ? ` within ${patience.ms / 1000} s`
          : error.signal
            ? `: ended by ${error.signal}`
            : `: exit code ${error.code}`;
        const asked = [basename(program), ...words].join(' ');
        const answer = { reason: refused ?? `does not print its version with \`${asked}\`${end}` };
        if (error.killed) silent.set(command, answer);
        return resolve(answer);
      },
    );
    child.stdin?.end();
  });
}

/** Why an existing program does not start, by execve(2)'s error. */
const cannotRun: { readonly [code: string]: string } = {
  // The program's loader is missing.
  ENOENT:
    'cannot run here: its loader is missing (it needs glibc, which Alpine and NixOS do not have in its place)',
  ENOEXEC: 'cannot run here: it was built for another platform',
  EACCES: 'cannot run here: its folder does not allow programs (mounted noexec?)',
};

const cacheFile = (): string => join(cacheFolder(), 'versions.json');

/** Read each time, since other runs add to it. */
function cachedVersions(): { readonly [key: string]: CachedVersion } {
  try {
    return { ...JSON.parse(readFileSync(cacheFile(), 'utf8')) };
  } catch {
    // Without a valid file, programs are asked again.
    return {};
  }
}

/** Ignores failures: the next run asks the program again. Not async, so that no answer in between is lost. */
function cacheVersion(key: string, version: CachedVersion): void {
  const file = cacheFile();
  const temporary = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(temporary, JSON.stringify({ ...cachedVersions(), [key]: version }));
    renameSync(temporary, file);
  } catch {}
}

/**
 * Fills a cache entry with a tool. `make` puts it into an empty folder and returns the program's path there. Keeps
 * the entry only if the program prints its name and version, as a publisher may ship another program under that name.
 */
export function keepTool(
  id: string,
  entry: Asked & Pick<PinnedTool, 'name' | 'version'>,
  context: ToolContext,
  make: (folder: string) => Promise<WayResult>,
): Promise<WayResult> {
  return fillEntry(id, context, async (folder) => {
    const made = await make(folder);
    if ('reason' in made) return made;
    const answer = await ask(join(folder, made.program), entry.versionCommand);
    if ('reason' in answer) return { reason: `the downloaded or built ${entry.name} ${answer.reason}` };
    if (versionOf(answer.output, entry) === entry.version) return made;
    const tool = `${entry.name} ${entry.version}`;
    return {
      reason: `the downloaded or built program is not ${tool}: it prints ${firstLine(answer.output)}`,
    };
  });
}
