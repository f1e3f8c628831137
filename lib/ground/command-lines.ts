import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';

type CommandLine = { readonly pid: number; readonly program: string; readonly words: readonly string[] };

/** Every process with its words. On Linux from /proc, which separates words exactly and needs no `ps`. */
export async function commandLines(): Promise<CommandLine[]> {
  if (process.platform !== 'linux') {
    // In two calls: the program's path may contain blanks.
    const [paths, lines] = await Promise.all(['comm=', 'args='].map(listProcesses));
    return [...(lines ?? [])].map(([pid, line]) => ({
      pid,
      program: basename(paths?.get(pid) ?? ''),
      words: line.split(/\s+/),
    }));
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const words = text.split('\0');
      return { pid, program: basename(words[0] ?? ''), words };
    }),
  );
}

/** One column of `ps` for every process; the last column is never cut off. */
async function listProcesses(column: string): Promise<Map<number, string>> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=', '-o', column], {
    maxBuffer: 16 << 20,
  });
  const lines = stdout.split('\n').map((line) => /^ *(\d+) +(.*?) *$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[Number(match[1]), match[2] ?? '']])));
}
