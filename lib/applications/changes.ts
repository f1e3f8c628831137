import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { shellWord, shellWords } from '../ground/shell-words.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { encryptCommands, encryptRandom, type NewSecrets } from '../secrets/make.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { replaceFiles } from '../settings/replace-files.ts';

/** New texts of files by path relative to the project; undefined removes a file. */
export type Changes = ReadonlyMap<string, string | undefined>;

/** What a task makes of the project's files. */
export type Plan = {
  readonly changes: Changes;
  /** Files that get random values. */
  readonly secrets?: readonly NewSecrets[];
  /** The next task, in a line before the changed files. */
  readonly next?: string;
  /** What stays, and how to remove it. */
  readonly left?: readonly string[];
};

/** The plain commands of `carryOut`, for `--dry-run`. */
export const planCommands = async (
  input: InEnvironment,
  { changes, secrets = [], left = [] }: Plan,
): Promise<readonly string[]> => [
  ...(await changeCommands(input.environment.root, changes)),
  ...encryptCommands(input, secrets),
  ...left.map((line) => `# ${line}`),
];

/** Changes all files of a plan, or none, and prints what comes next. */
export async function carryOut(context: EnvironmentContext, plan: Plan): Promise<'changed'> {
  const { next, left = [], secrets = [] } = plan;
  const changes = new Map([...plan.changes, ...(await encryptRandom(context, secrets))]);
  await makeChanges(context.environment.root, changes);
  const files = [...changes.keys()].map(shellWord).join(' ');
  context.print([...(next ? [next] : []), `commit these together: ${files}`, ...left].join('\n'));
  return 'changed';
}

/** Plain commands that make the changes; a patch shows them. Files are only removed if it fits. */
async function changeCommands(root: string, changes: Changes): Promise<string[]> {
  const { createTwoFilesPatch, FILE_HEADERS_ONLY } = await import('diff');
  const patches: string[] = [];
  const removed: string[] = [];
  for (const [file, text] of changes) {
    const before = await textIfThere(join(root, file));
    if (text === undefined) removed.push(file);
    else
      patches.push(
        createTwoFilesPatch(
          before === undefined ? '/dev/null' : `a/${file}`,
          ...([`b/${file}`, before ?? '', text, undefined, undefined] as const),
          { context: 3, headerOptions: FILE_HEADERS_ONLY },
        ),
      );
  }
  const removal = removed.length === 0 ? [] : [`rm ${shellWords(removed)}`];
  if (patches.length === 0) return removal;
  return [`${["git apply <<'END'", ...removal].join(' && ')}\n${patches.join('')}END`];
}

/** Throws `TaskError` with `what` if a changed file is no longer valid, as without an anchor that others refer to. */
export async function checkChanges(changes: Changes, what: (file: string) => string): Promise<void> {
  for (const [file, text] of changes) {
    if (text === undefined) continue;
    await readStrictYaml(text, file).catch((error: unknown) => {
      if (!(error instanceof TaskError)) throw error;
      throw new TaskError({
        what: what(file),
        why: `${error.what}: ${error.why}`,
        advice: 'change what it says by hand, then run again; nothing was changed',
      });
    });
  }
}

/** Makes all changes or, if one fails, none. */
export async function makeChanges(root: string, changes: Changes): Promise<void> {
  try {
    await replaceFiles([...changes].map(([file, text]) => ({ path: join(root, file), text })));
  } catch (error) {
    throw new TaskError({
      what: 'the files cannot be changed; all are as before',
      why: (error as Error).message,
      advice: 'make them writable for you, then run again',
      cause: error,
    });
  }
}
