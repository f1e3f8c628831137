import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** The real path of the file that Node was started with. */
export function mainFile(): string {
  return realpathSync(process.argv[1] ?? '');
}

/**
 * Lets the completion scripts of other clones complete this program too: they start none that is not in this list. Programs that
 * were removed leave it. Where no list can be kept only the own script knows the program.
 */
export async function rememberProgram(main: string): Promise<void> {
  const { XDG_CACHE_HOME: configured } = process.env;
  // A relative one does not count, as its specification says.
  const caches = configured?.startsWith('/') ? configured : join(homedir(), '.cache');
  const file = join(caches, 'task-runner', 'programs');
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const known = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    const programs = [...new Set([...known, main])].filter((path) => path !== '' && existsSync(path));
    await writeFile(`${file}.${process.pid}`, programs.map((path) => `${path}\n`).join(''), { mode: 0o600 });
    await rename(`${file}.${process.pid}`, file);
  } catch {
    // The script that is being printed names the program itself.
  }
}
