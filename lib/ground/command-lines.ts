import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';

type CommandLine = { readonly pid: number; readonly program: string; readonly words: readonly string[] };

/** All processes with their arguments. On Linux from /proc, which separates arguments exactly and needs no `ps`. */
export async function commandLines(): Promise<CommandLine[]> {
  if (process.platform !== 'linux') {
    // Two calls, since the program's path may contain blanks.
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

/** A column of `ps` for all processes; ps never cuts off the last column. */
async function listProcesses(column: string): Promise<Map<number, string>> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=', '-o', column], {
    maxBuffer: 16 << 20,
  });
  const lines = stdout.split('\n').map((line) => /^ *(\d+) +(.*?) *$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[Number(match[1]), match[2] ?? '']])));
}
