import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** The real path of the file with which Node was started. */
export function mainFile(): string {
  return realpathSync(process.argv[1] ?? '');
}

/**
 * Lets other clones' completion scripts complete this program too: they only start programs in this list. Removed
 * programs are dropped. Without a list, only the program's own script knows it.
 */
export async function rememberProgram(main: string): Promise<void> {
  const { XDG_CACHE_HOME: configured } = process.env;
  // A relative path is ignored, as its specification says.
  const caches = configured?.startsWith('/') ? configured : join(homedir(), '.cache');
  const file = join(caches, 'task-runner', 'programs');
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const known = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    const programs = [...new Set([...known, main])].filter((path) => path !== '' && existsSync(path));
    await writeFile(`${file}.${process.pid}`, programs.map((path) => `${path}\n`).join(''), { mode: 0o600 });
    await rename(`${file}.${process.pid}`, file);
  } catch {
    // The script that is being printed contains the program.
  }
}
