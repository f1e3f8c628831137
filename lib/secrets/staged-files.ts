import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { root } from '../ground/project.ts';
import { TaskError } from '../runner/runner.ts';
import { writeWhole } from '../settings/environment.ts';
import { isInProject } from './operational-key.ts';

/*
 * Several files that are to be replaced together. They are made in a folder of their own; a list of them, written last, says
 * that all are whole. Without the list nothing was replaced, with it replacing can be ended by whoever finds it.
 */

type Staged = { readonly file: string; readonly target: string; readonly mode: number };

/** Not the name of an environment: those begin with a letter or digit. */
export const stagingFolder = join(root, '.state', '.key-rotation');
const listFile = join(stagingFolder, 'ready.json');

export const startStaging = async (): Promise<void> => {
  await dropStaged();
  await mkdir(stagingFolder, { recursive: true, mode: 0o700 });
};

export const dropStaged = (): Promise<void> => rm(stagingFolder, { recursive: true, force: true });

/** Writes a file below the staging folder. */
export async function stage(file: string, content: string): Promise<void> {
  const path = join(stagingFolder, file);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, content, { mode: 0o600 });
}

export const readStaged = (file: string): Promise<string> => readFile(join(stagingFolder, file), 'utf8');

/** Says that everything is whole. `targets`: absolute path by staged file, in the order in which they are to be replaced. */
export async function sealStaged(targets: ReadonlyMap<string, string>): Promise<void> {
  const staged = [...targets].map(async ([file, target]): Promise<Staged> => {
    // Files of the repository keep their mode; a private half elsewhere is for the user alone.
    const mode = isInProject(target)
      ? await stat(target).then(
          (found) => found.mode & 0o777,
          () => 0o644,
        )
      : 0o600;
    return { file, target, mode };
  });
  await writeWhole(listFile, JSON.stringify(await Promise.all(staged)));
}

/** Whether there are whole files that wait for being put in place. */
export const isSealed = async (): Promise<boolean> => (await ifThere(stat(listFile))) !== undefined;

/**
 * Puts the files in place and drops the folder. When one cannot be written, those before it are brought back. A process that
 * is killed in the middle leaves the list, and the next call ends the work. Returns the files of the project among them.
 */
export async function putInPlace(): Promise<string[]> {
  const staged = JSON.parse(await readFile(listFile, 'utf8')) as readonly Staged[];
  const before = new Map<Staged, string | undefined>();
  try {
    for (const entry of staged) {
      const content = await readStaged(entry.file);
      before.set(entry, await textIfThere(entry.target));
      await writeWhole(entry.target, content, entry.mode);
    }
  } catch (error) {
    for (const [{ target, mode }, content] of before) {
      const back = content === undefined ? rm(target, { force: true }) : writeWhole(target, content, mode);
      // The one that failed is as it was.
      await back.catch(() => undefined);
    }
    await rm(listFile, { force: true });
    throw new TaskError({
      what: 'the new files cannot be put in place; the old ones are back',
      why: (error as Error).message,
      advice: 'give yourself the right to write there, then run again',
    });
  }
  await dropStaged();
  return staged.flatMap(({ target }) => (isInProject(target) ? [relative(root, target)] : [])).sort();
}
