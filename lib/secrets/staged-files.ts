import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseJson, TaskError } from '@k8s-deployment/runner';
import { fileDigest } from '../ground/files.ts';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { writeWhole } from '../settings/environment.ts';
import { replaceFiles } from '../settings/replace-files.ts';

/*
 * Replaces several files together. They are first written to a separate folder, whose list is written last. Without
 * the list nothing was replaced; with it, any later run can finish the replacement. A file's name is its path in the
 * project, or an absolute path: that of a private half outside.
 */

/** Files in the order of replacement, with digests of their texts before. */
type Replaced = readonly (readonly [file: string, before: string])[];

/** Never an environment's name: those begin with a letter or digit. */
export const stagingFolder = (root: string): string => join(root, '.state', '.key-rotation');
const stagedPath = (root: string, file: string): string =>
  join(stagingFolder(root), isAbsolute(file) ? 'private.asc' : file);
const listFile = (root: string): string => stagedPath(root, 'ready.json');
const digestOf = (root: string, file: string): Promise<string> => fileDigest('/', [resolve(root, file)]);

/** Files with their digests as they are now. */
export const digestsOf = (root: string, files: readonly string[]): Promise<Replaced> =>
  Promise.all(files.map(async (file) => [file, await digestOf(root, file)] as const));

export const dropStaged = (root: string) => rm(stagingFolder(root), { recursive: true, force: true });

export async function stage(root: string, file: string, content: string): Promise<void> {
  const path = stagedPath(root, file);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, content, { mode: 0o600 });
}

export const readStaged = (root: string, file: string) => readFile(stagedPath(root, file), 'utf8');

/** Marks the staged files as complete. */
export const sealStaged = (root: string, files: Replaced): Promise<void> =>
  writeWhole(listFile(root), JSON.stringify(files));

/** True if complete files wait to be moved into place. */
export const isSealed = async (root: string) => (await ifThere(stat(listFile(root)))) !== undefined;

export async function readSealed(root: string): Promise<Replaced> {
  const sealed = parseJson(await readFile(listFile(root), 'utf8'));
  if (Array.isArray(sealed) && sealed.every(Array.isArray)) return sealed as unknown as Replaced;
  throw new TaskError({
    what: 'a rotation that another version of this project began was interrupted',
    why: 'its .state/.key-rotation/ready.json has another form; private.asc beside it is the new private half',
    advice: `check that version out and run ${taskCommand('rotate-keys')}, which finishes it; keep the folder until then`,
  });
}

/**
 * Sealed files that were changed or removed since they were staged, and those of `files` that are not sealed.
 * `isBegun`: a killed run has replaced others, which only work together with them.
 */
export async function changedSince(root: string, files: readonly string[]) {
  const sealed = await readSealed(root);
  const changed = files.filter((file) => !sealed.some(([one]) => one === file));
  let isBegun = false;
  for (const [file, before] of sealed) {
    if ((await textIfThere(resolve(root, file))) === (await readStaged(root, file))) isBegun = true;
    else if ((await digestOf(root, file)) !== before) changed.push(file);
  }
  return { changed, isBegun };
}

/**
 * Moves the files into place, removes the folder, and returns those inside the project. If one cannot be written, the
 * previous ones are restored. If the process is killed, the list remains and the next call finishes.
 */
export async function putInPlace(root: string): Promise<string[]> {
  const files = (await readSealed(root)).map(([file]) => file);
  try {
    const contents = files.map(async (file) => ({
      path: resolve(root, file),
      text: await readStaged(root, file),
      // A private half is for the user only; files in the repository keep their mode.
      ...(isAbsolute(file) && { mode: 0o600 }),
    }));
    await replaceFiles(await Promise.all(contents));
  } catch (error) {
    await rm(listFile(root), { force: true });
    throw new TaskError({
      what: 'the new files cannot be put in place; the old ones are restored',
      why: (error as Error).message,
      advice: 'make the place writable for you, then run again',
    });
  }
  await dropStaged(root);
  return files.filter((file) => !isAbsolute(file)).sort();
}
