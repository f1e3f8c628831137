import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';

/** A file that is written once, at the end of a run. */
export type ReportFile = {
  /** As the user wrote it. */
  readonly path: string;
  /** All at once: whoever reads it sees the old file or the whole new one. Rejects when it cannot be written. */
  readonly write: (text: string) => Promise<void>;
};

/**
 * Makes sure, before anything runs, that this file can be written at the end. `option` is what named it. Throws
 * UsageError.
 */
export async function openReportFile(path: string, option: string): Promise<ReportFile> {
  const refuse = (why: string): UsageError =>
    new UsageError({
      what: `cannot write \`${path}\``,
      why,
      advice: `give \`${option}\` a file in a folder that you may write to`,
    });
  if (path.trim() === '') throw refuse('the name is empty');
  // What the path leads to, lest a link be replaced by a file.
  const file = await realpath(path).catch(() => resolve(path));
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) throw refuse('it is a folder');
  // A device or a pipe cannot be replaced.
  if (found !== undefined && !found.isFile()) return { path, write: (text) => writeFile(file, text) };
  const partial = join(dirname(file), `.${basename(file)}.${process.pid}.partial`);
  try {
    await writeFile(partial, '');
    await rm(partial);
  } catch (error) {
    throw refuse(reasonOf(error as NodeJS.ErrnoException, dirname(path)));
  }
  return {
    path,
    write: async (text) => {
      try {
        // Logs can hold what is nobody else's business.
        await writeFile(partial, text, { mode: 0o600 });
        await rename(partial, file);
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
    },
  };
}

function reasonOf({ code, message }: NodeJS.ErrnoException, folder: string): string {
  if (code === 'ENOENT') return `there is no folder \`${folder}\``;
  if (code === 'ENOTDIR') return `\`${folder}\` is not a folder`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `\`${folder}\` is not writable`;
  return message;
}
