import { readFile } from 'node:fs/promises';
import { TaskError } from '@k8s-deployment/runner';

/**
 * Result of reading a file or folder; undefined if it does not exist. Throws `TaskError` for any other failure, since
 * unreadable does not mean absent. `path` is for the error, as Node may omit it.
 */
export async function ifThere<Content>(
  reading: Promise<Content>,
  path?: string,
): Promise<Content | undefined> {
  try {
    return await reading;
  } catch (error) {
    const { code, path: named = path, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === undefined) throw error;
    throw new TaskError({
      what: `cannot read ${named}`,
      why: message,
      advice: 'make it readable, then run again',
      cause: error,
    });
  }
}

/** The same for a text file. */
export const textIfThere = (path: string): Promise<string | undefined> =>
  ifThere(readFile(path, 'utf8'), path);
