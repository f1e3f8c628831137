import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { decryptValue } from '../secrets/sops.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import type { SecretKey } from '../settings/secret-reference.ts';

/**
 * Hashes, which `ALTER ROLE … PASSWORD` stores as they are (https://www.postgresql.org/docs/17/catalog-pg-authid.html).
 */
const hashForm = /^(?:md5[0-9a-f]{32}$|SCRAM-SHA-256\$[^$]*:[^$]*\$[^$]*:)/;

/** Why a password is unusable; undefined if it is fine. */
export function passwordProblem(password: string): string | undefined {
  if (password === '') return 'it is empty';
  // initdb reads one line, environment variables end at NUL, and other characters are invisible.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(password)) return 'it has a line break or another control character';
  return hashForm.test(password)
    ? 'it looks like a hash: PostgreSQL would store it as one, and nobody could log in with it'
    : undefined;
}

/** A role's password. Throws `TaskError` as `decryptValue` does, and for an unusable password. */
export async function decryptPassword(
  context: EnvironmentContext,
  { file, key }: SecretKey,
): Promise<string> {
  const { environment } = context;
  const password = await decryptValue(context, file, key);
  const problem = passwordProblem(password);
  if (problem === undefined) return password;
  throw new TaskError({
    what: `the value \`${key}\` of ${secretsFile(environment.name, file)} cannot be a password`,
    why: problem,
    advice: `write another one, on one line in quotes: ${taskCommand(`edit-secrets ${file}`)}; for an existing database, use ${taskCommand('rotate-database-password')}`,
  });
}

/** Advice if the server has another password than the SOPS file. */
export const passwordAdvice = (environment: string, { file }: SecretKey): string =>
  `run ${taskCommand('rotate-database-password')}, or restore the matching ${secretsFile(environment, file)} (git)`;
