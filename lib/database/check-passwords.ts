import type { Context } from '../settings/context.ts';
import { decryptPassword } from './password.ts';
import { loginRoles } from './roles.ts';

/** True if one of the releases has a password among its values. */
export const takePasswords = (releases: readonly { readonly name: string }[]): boolean =>
  releases.some(({ name }) => name === 'devops' || name === 'postgresql');

/** Throws `TaskError` for the first unusable password of a database role. */
export async function checkPasswords(context: Context): Promise<void> {
  for (const { secret } of loginRoles(context.settings)) await decryptPassword(context, secret);
}
