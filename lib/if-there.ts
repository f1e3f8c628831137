import { TaskError } from './runner/runner.ts';

/**
 * What reading a file or folder gives, or undefined where there is none. Throws `TaskError` for any other failure: what
 * cannot be read is not absent.
 */
export async function ifThere<Content>(reading: Promise<Content>): Promise<Content | undefined> {
  try {
    return await reading;
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === undefined) throw error;
    throw new TaskError({
      what: `cannot read ${path ?? 'a file'}`,
      why: message,
      advice: 'make it readable for you, then run again; nothing was changed',
      cause: error,
    });
  }
}
