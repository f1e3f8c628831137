import { relative, resolve } from 'node:path';
import { formatPlace } from '../call-site.ts';
import { UsageError } from '../errors.ts';
import type { TaskNode } from '../node.ts';
import { declared } from '../task.ts';
import { type FileStates, readStates } from './file-state.ts';
import { compileGlobs, findFiles, type Globs, matchesGlobs } from './glob.ts';

/** The globs of a task, and the folder that they start from. */
export type TaskGlobs = { readonly folder: string; readonly inputs: Globs; readonly outputs: Globs };

export type SeenFiles = {
  /** By path relative to the task's folder. */
  readonly states: FileStates;
  /** The first that cannot be read, as a sentence. */
  readonly problem: string | undefined;
};

/** `base`: the folder that a relative `cwd` starts from. */
export function globsOf({ task, input }: TaskNode, base: string): TaskGlobs {
  const folder = resolve(base, declared(task.cwd, input) ?? '.');
  return {
    folder,
    inputs: compileGlobs(declared(task.inputs, input) ?? [], folder),
    outputs: compileGlobs(declared(task.outputs, input) ?? [], folder),
  };
}

/**
 * The state of a task's inputs; what it makes itself is none of them (`**` would never stay the same). Throws UsageError for
 * a glob that matches nothing: a typo would make the task up to date for ever.
 */
export async function readInputs(
  node: TaskNode,
  globs: TaskGlobs,
  known: FileStates,
  ignored: readonly string[],
): Promise<SeenFiles> {
  const except = (path: string): boolean => matchesGlobs(globs.outputs, path);
  const found = await findFiles(globs.inputs, { ignored, except });
  const [unreadable] = found.unreadable;
  if (unreadable !== undefined)
    return { states: {}, problem: `${relative(globs.folder, unreadable)} cannot be read` };
  const [unmatched] = found.unmatched;
  if (unmatched !== undefined) throw unmatchedError(node, unmatched, globs.folder);
  return readRelative(globs.folder, found.files, known);
}

/** The state of the files that its output globs match now, and the globs that match nothing. */
export async function readOutputs(
  globs: TaskGlobs,
  ignored: readonly string[],
): Promise<SeenFiles & { readonly missing: readonly string[] }> {
  const found = await findFiles(globs.outputs, { ignored });
  return { ...(await readRelative(globs.folder, found.files, {})), missing: found.unmatched };
}

/** The state now of files that are remembered. */
export function rereadOutputs(globs: TaskGlobs, known: FileStates): Promise<SeenFiles> {
  const paths = Object.keys(known).map((path) => resolve(globs.folder, path));
  return readRelative(globs.folder, paths, known);
}

async function readRelative(folder: string, paths: readonly string[], known: FileStates): Promise<SeenFiles> {
  const absolute = Object.fromEntries(
    Object.entries(known).map(([path, state]) => [resolve(folder, path), state]),
  );
  const { states, unreadable } = await readStates(paths, absolute);
  const [first] = unreadable;
  return {
    states: Object.fromEntries(
      Object.entries(states).map(([path, state]) => [relative(folder, path), state]),
    ),
    problem: first && `${relative(folder, first.path)} cannot be read (${first.reason})`,
  };
}

function unmatchedError(node: TaskNode, glob: string, folder: string): UsageError {
  return new UsageError({
    what: `input \`${glob}\` of task \`${node.label}\` matches no file`,
    why: `it was looked for in ${folder}`,
    advice: `correct \`inputs\` at ${formatPlace(node.task)}, or make what it names`,
  });
}
