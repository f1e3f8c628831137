import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin } from '../database/login.ts';
import { decryptPassword } from '../database/password.ts';
import { passwordAdvice } from '../database/password-advice.ts';
import { superuserOf } from '../database/roles.ts';
import { TaskError } from '../runner/runner.ts';
import type { Context } from '../settings/context.ts';

/** Whether the server takes the superuser's password of the SOPS file. Rejects when either cannot be asked. */
export async function knowsPassword(context: Context): Promise<boolean> {
  const { name: user, database, secret } = superuserOf(context.settings);
  const [password, identity] = await Promise.all([decryptPassword(context, secret), serverIdentity(context)]);
  return withPostgresql(context, (address) =>
    acceptsLogin({ ...address, user, password, database, identity }),
  );
}

/** Throws `TaskError` when the SOPS file and the server have come apart: nothing that needs the superuser would work. */
export async function checkPassword(context: Context): Promise<void> {
  const { environment, settings } = context;
  if (await knowsPassword(context)) return;
  const { name, secret } = superuserOf(settings);
  throw new TaskError({
    what: `the database refuses the password of \`${name}\``,
    why: 'the server keeps the password it was given once, and the encrypted file holds another one',
    advice: passwordAdvice(environment.name, secret),
  });
}
