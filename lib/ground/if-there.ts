import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';

/**
 * Result of reading a file or folder; undefined if it does not exist. Throws `TaskError` for any other failure, since
 * unreadable does not mean absent. `path` is what is read, for the error, as Node may omit it: that something else is
 * missing is such a failure.
 */
export async function ifThere<Content>(
  reading: Promise<Content>,
  path?: string,
): Promise<Content | undefined> {
  try {
    return await reading;
  } catch (error) {
    const { code, path: named = path, message } = error as NodeJS.ErrnoException;
    // A link to itself leads nowhere, as a broken one.
    if ((code === 'ENOENT' || code === 'ELOOP') && named === (path ?? named)) return undefined;
    if (code === undefined) throw error;
    throw new TaskError({
      what: `cannot read ${named}`,
      why: message,
      advice: `${/^E(IS|NOT)DIR$/.test(code) ? 'move it away' : 'make it readable'}, then run again`,
      cause: error,
    });
  }
}

/** The same for a text file. */
export const textIfThere = (path: string): Promise<string | undefined> =>
  ifThere(readFile(path, 'utf8'), path);

/** The same for all below a folder but folders, with their paths. */
export async function entriesBelow(folder: string) {
  const entries = await ifThere(readdir(folder, { recursive: true, withFileTypes: true }), folder);
  return entries
    ?.filter((entry) => !entry.isDirectory())
    .map((entry) => ({ entry, path: join(entry.parentPath ?? entry.path, entry.name) }));
}
