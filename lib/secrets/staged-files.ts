import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { fileDigest } from '../ground/files.ts';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { writeWhole } from '../settings/environment.ts';
import { replaceFiles } from '../settings/replace-files.ts';
import { isInProject } from './operational-key.ts';

/*
 * Replaces several files together. They are first written to a separate folder, whose list is written last. Without
 * the list nothing was replaced; with it, any later run can finish the replacement.
 */

type Staged = {
  readonly file: string;
  readonly target: string;
  /** Digest of the target's text before. */
  readonly before: string;
};

/** Never an environment's name: those begin with a letter or digit. */
export const stagingFolder = (root: string): string => join(root, '.state', '.key-rotation');
const listFile = (root: string): string => join(stagingFolder(root), 'ready.json');
const readList = async (root: string): Promise<readonly Staged[]> =>
  JSON.parse(await readFile(listFile(root), 'utf8'));
const targetDigest = (target: string): Promise<string> => fileDigest('/', [target]);

/** Digests of targets as they are now. */
export const digestsOf = async (targets: Iterable<string>): Promise<ReadonlyMap<string, string>> =>
  new Map(
    await Promise.all(Array.from(targets, async (target) => [target, await targetDigest(target)] as const)),
  );

export const dropStaged = (root: string) => rm(stagingFolder(root), { recursive: true, force: true });

export async function stage(root: string, file: string, content: string): Promise<void> {
  const path = join(stagingFolder(root), file);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, content, { mode: 0o600 });
}

export const readStaged = (root: string, file: string) => readFile(join(stagingFolder(root), file), 'utf8');

/**
 * Marks the staged files as complete. `targets` maps them to absolute paths, in the order of replacement; `read` has
 * the targets' digests when their contents were read, by default now.
 */
export async function sealStaged(
  root: string,
  targets: ReadonlyMap<string, string>,
  read: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const staged = [...targets].map(
    async ([file, target]): Promise<Staged> => ({
      ...{ file, target },
      before: read.get(target) ?? (await targetDigest(target)),
    }),
  );
  await writeWhole(listFile(root), JSON.stringify(await Promise.all(staged)));
}

/** True if complete files wait to be moved into place. */
export const isSealed = async (root: string) => (await ifThere(stat(listFile(root)))) !== undefined;

/** The staged files and their targets, in the order of replacement. */
export const stagedTargets = async (root: string): Promise<Map<string, string>> =>
  new Map((await readList(root)).map(({ file, target }) => [file, target]));

/**
 * Targets that were changed or removed since they were staged, and those of `files` that are not staged, relative to
 * the project. `isBegun`: a killed run has replaced others, which only work together with them.
 */
export async function changedSince(root: string, files: readonly string[]) {
  const staged = await readList(root);
  const changed = files.filter((file) => !staged.some((one) => one.file === file));
  let isBegun = false;
  for (const { file, target, before } of staged) {
    if ((await textIfThere(target)) === (await readStaged(root, file))) isBegun = true;
    else if ((await targetDigest(target)) !== before) changed.push(relative(root, target));
  }
  return { changed, isBegun };
}

/**
 * Moves the files into place, removes the folder, and returns those inside the project. If one cannot be written, the
 * previous ones are restored. If the process is killed, the list remains and the next call finishes.
 */
export async function putInPlace(root: string): Promise<string[]> {
  const staged = await readList(root);
  try {
    const contents = staged.map(async ({ file, target }) => ({
      path: target,
      text: await readStaged(root, file),
      // A private half is for the user only; files in the repository keep their mode.
      ...(!isInProject(root, target) && { mode: 0o600 }),
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
  return staged.flatMap(({ target }) => (isInProject(root, target) ? [relative(root, target)] : [])).sort();
}
