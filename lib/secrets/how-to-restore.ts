import { type ExecFileException, execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { quote, TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';

/** Advice to restore a file's committed version without losing the present one, which may have uncommitted changes. */
export async function howToRestore(root: string, file: string): Promise<string> {
  const shown = await promisify(execFile)('git', ['show', `HEAD:./${file}`], { cwd: root }).catch(whyNone);
  if (typeof shown === 'string') return `restore ${file} from a copy: ${shown}`;
  const present = await textIfThere(join(root, file)).catch(() => '');
  const word = quote(file);
  if (present === shown.stdout) return `an older version may work: git log -p -- ${word}`;
  if (present === undefined) return `restore it: git checkout HEAD -- ${word}`;
  return `see what changed: git diff -- ${word}; \`git stash push -- ${word}\` restores the committed version and keeps this one`;
}

/** The error of a file that has to be there. */
export const unreadable = async (root: string, file: string, why: string): Promise<TaskError> =>
  new TaskError({ what: `${file} cannot be read`, why, advice: await howToRestore(root, file) });

/** The text of such a file. Throws `TaskError` if it cannot be read. */
export const readNeeded = (root: string, file: string): Promise<string> =>
  readFile(join(root, file), 'utf8').catch(async (error: Error) => {
    throw await unreadable(root, file, error.message);
  });

const noneCommitted =
  /does not exist in|exists on disk, but not in|invalid object name 'HEAD'|not a git repository/;

/** Why git did not return the text of the last commit. */
function whyNone({ stderr = '', message, signal }: ExecFileException): string {
  if (noneCommitted.test(stderr)) return 'git has no committed version of it';
  const said = stderr.trim().split('\n')[0] || (signal ? `ended by ${signal}` : message);
  return `git did not say what is committed (${said})`;
}
