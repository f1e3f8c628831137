import type { Context } from '../settings/context.ts';
import { decryptPassword } from './password.ts';
import { loginRoles } from './roles.ts';

/** True when a password is among the values of one of the releases. */
export const takePasswords = (releases: readonly { readonly name: string }[]): boolean =>
  releases.some(({ name }) => name === 'devops' || name === 'postgresql');

/** Throws `TaskError` for the first password of a role of the database that cannot be used. */
export async function checkPasswords(context: Context): Promise<void> {
  for (const { secret } of loginRoles(context.settings)) await decryptPassword(context, secret);
}
