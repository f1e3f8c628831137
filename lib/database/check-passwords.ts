import { type Environment, settingsOf } from '../environment.ts';
import type { Release } from '../helmfile.ts';
import type { TaskContext } from '../runner/runner.ts';
import { decryptPassword } from './password.ts';
import { loginRoles } from './roles.ts';

/** The releases that are given passwords. */
const withPasswords = ['devops', 'postgresql'];

/** Before helmfile gives passwords to charts. Throws `TaskError` for the first one that cannot be used. */
export async function checkPasswords(
  environment: Environment,
  releases: readonly Release[],
  context: TaskContext,
): Promise<void> {
  if (!releases.some(({ name }) => withPasswords.includes(name))) return;
  for (const { secret } of loginRoles(await settingsOf(environment)))
    await decryptPassword(environment, secret, context);
}
