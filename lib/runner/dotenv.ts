import { readFile } from 'node:fs/promises';
import { TaskError } from './errors.ts';
import { parseDotenv } from './parse-dotenv.ts';

/**
 * Sets the variables of a `.env` file that the environment does not set: what stands on the command line wins over the
 * environment, that over the file, and that over defaults. A file that is not there says nothing. Throws TaskError when it
 * cannot be read or understood.
 */
export async function readDotenv(file: string): Promise<void> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unreadable(file, error.message, 'make it a file that you can read, or remove it');
  });
  if (bytes === undefined) return;
  let variables: Map<string, string>;
  try {
    variables = parseDotenv(textOf(bytes), process.env);
  } catch (error) {
    throw unreadable(file, (error as Error).message, 'fix it and run again');
  }
  const { populate } = await import('dotenv');
  populate(process.env as { [name: string]: string }, Object.fromEntries(variables));
}

/** Without a byte order mark. Other encodings are refused: a password would silently become another one. */
function textOf(bytes: Buffer): string {
  const isText = !bytes.includes(0);
  try {
    if (isText) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Told below.
  }
  throw new Error('it is not text in UTF-8');
}

function unreadable(file: string, why: string, advice: string): TaskError {
  return new TaskError({ what: `cannot read ${file}`, why, advice });
}
