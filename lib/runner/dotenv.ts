import { readFile } from 'node:fs/promises';
import { TaskError } from './errors.ts';

/**
 * Sets the variables of a `.env` file that the environment does not set: what stands on the command line wins over the
 * environment, that over the file, and that over defaults. A file that is not there says nothing. Throws TaskError when it
 * cannot be read.
 */
export async function readDotenv(file: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new TaskError({
      what: `cannot read ${file}`,
      why: (error as Error).message,
      advice: 'make it a file that you can read, or remove it',
    });
  }
  // Only the parser: dotenv's `config()` prints.
  const { parse } = await import('dotenv');
  for (const [name, value] of Object.entries(parse(text))) process.env[name] ??= value;
}
