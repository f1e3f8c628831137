import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin } from '../database/login.ts';
import { decryptPassword } from '../database/password.ts';
import { passwordAdvice } from '../database/password-advice.ts';
import { superuserOf } from '../database/roles.ts';
import { TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { settingsOf } from '../settings/environment.ts';

/** Whether the server takes the superuser's password of the SOPS file. Rejects when either cannot be asked. */
export async function knowsPassword(context: EnvironmentContext): Promise<boolean> {
  const { environment } = context;
  const settings = await settingsOf(environment);
  const { name: user, database, secret } = superuserOf(settings);
  const [password, identity] = await Promise.all([
    decryptPassword(context, secret),
    serverIdentity({ ...context, settings }),
  ]);
  return withPostgresql(context, (address) =>
    acceptsLogin({ ...address, user, password, database, identity }),
  );
}

/** Throws `TaskError` when the SOPS file and the server have come apart: nothing that needs the superuser would work. */
export async function checkPassword(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  if (await knowsPassword(context)) return;
  const { name, secret } = superuserOf(await settingsOf(environment));
  throw new TaskError({
    what: `the database refuses the password of \`${name}\``,
    why: 'the server keeps the password it was given once, and the encrypted file holds another one',
    advice: passwordAdvice(environment.name, secret),
  });
}
