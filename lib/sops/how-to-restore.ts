import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { textIfThere } from '../if-there.ts';
import { root } from '../project.ts';
import { quote } from '../runner/runner.ts';

/**
 * Advice on how the committed version of a file comes back, without losing the present one: nobody can tell damage from a change
 * that is not committed yet. `unfit` says why the committed version is no help, if it is none.
 */
export async function howToRestore(
  file: string,
  unfit: (committed: string) => Promise<string | undefined> = async () => undefined,
): Promise<string> {
  const committed = await committedVersion(file);
  if (committed === undefined) return `restore ${file} from a copy: git gives no committed version of it`;
  const present = await textIfThere(join(root, file)).catch(() => '');
  const word = quote(file);
  if (present === committed) return `an older version may do: git log -p -- ${word}`;
  const reason = await unfit(committed);
  if (reason !== undefined) return `restore it from a copy: the committed version ${reason}`;
  if (present === undefined) return `restore it: git checkout HEAD -- ${word}`;
  return `see what changed: git diff -- ${word}; \`git stash push -- ${word}\` brings back the committed version and keeps this one`;
}

/** The text in the last commit; undefined when git does not give it. */
async function committedVersion(file: string): Promise<string | undefined> {
  try {
    return (await promisify(execFile)('git', ['show', `HEAD:./${file}`], { cwd: root })).stdout;
  } catch {
    return undefined;
  }
}
