import { type Environment, settingsOf } from '../environment.ts';
import type { TaskContext } from '../runner/runner.ts';
import { decryptPassword } from './password.ts';
import { loginRoles } from './roles.ts';

/** Throws `TaskError` for the first password of a role that cannot be used: before helmfile gives it to a chart. */
export async function checkPasswords(environment: Environment, context: TaskContext): Promise<void> {
  for (const { secret } of loginRoles(await settingsOf(environment)))
    await decryptPassword(environment, secret, context);
}
