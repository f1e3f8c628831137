import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { checkLineEnds } from '../../ground/line-ends.ts';
import { root } from '../../ground/project.ts';
import { TaskError } from '../../runner/runner.ts';

/** Throws `TaskError` that names the file, also for Windows line ends. */
export async function readText(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  checkLineEnds([{ path: relative(root, file), text }]);
  return text;
}

/** The error for a part of the desired state that cannot be read. */
export function unreadable(path: string, error: unknown): TaskError {
  return new TaskError({
    what: `the desired state of Vault cannot be read: ${path}`,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
