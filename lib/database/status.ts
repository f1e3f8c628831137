import { access } from 'node:fs/promises';
import type { Environment } from '../environment.ts';
import type { TaskContext } from '../runner/runner.ts';
import { stopAgent } from '../sops.ts';
import { findTool } from '../tools/tools.ts';
import { readRotation } from './rotation-state.ts';
import { knowsPassword } from './server.ts';

/**
 * What a person should know of a database that answers: a rotation that did not end, an encrypted file that the server has come
 * apart from. Undefined when all is well, and when it cannot be told: without sops or keyring nothing is wrong yet.
 */
export async function databaseProblem(
  environment: Environment,
  context: TaskContext,
): Promise<string | undefined> {
  const begun = await readRotation(environment).then(Object.keys, () => ['unknown roles']);
  if (begun.length > 0)
    return `the rotation of ${begun.join(', ')} is not finished: run rotate-database-password`;
  const keyring = await access(environment.gnupgHome).then(
    () => true,
    () => false,
  );
  if (!keyring || !(await findTool('sops'))) return undefined;
  context.onRunEnd(() => stopAgent(environment, context));
  const known = await knowsPassword(environment, context).catch(() => true);
  return known ? undefined : 'refuses the password of the encrypted file: run rotate-database-password';
}
