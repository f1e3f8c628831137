import type { Environment } from '../environment.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import type { SecretKey } from '../secret-reference.ts';
import { secretsFile } from '../sops/encrypted-file.ts';
import { decryptValue } from '../sops.ts';

/** Why nobody could log in with a password; undefined when it will do. */
export function passwordProblem(password: string): string | undefined {
  if (password === '') return 'it is empty';
  // initdb takes the first line of a file, environment variables end at NUL, and nobody sees the rest.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\0-\x1f\x7f]/.test(password) ? 'it has a line break or another control character' : undefined;
}

/** The password of a role. Throws `TaskError` as `decryptValue` does, and for one that not everybody would read alike. */
export async function decryptPassword(
  environment: Environment,
  { file, key }: SecretKey,
  context: TaskContext,
): Promise<string> {
  const password = await decryptValue(environment, file, key, context);
  const problem = passwordProblem(password);
  if (problem === undefined) return password;
  throw new TaskError({
    what: `the value \`${key}\` of ${secretsFile(environment.name, file)} cannot be a password`,
    why: problem,
    advice: `write one line in quotes: edit-secrets ${file}; a database that already exists gets it by rotate-database-password`,
  });
}
