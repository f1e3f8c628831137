import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin } from '../database/login.ts';
import { decryptPassword } from '../database/password.ts';
import { passwordAdvice } from '../database/password-advice.ts';
import { superuserOf } from '../database/roles.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import { type Environment, settingsOf } from '../settings/environment.ts';

/** Whether the server takes the superuser's password of the SOPS file. Rejects when either cannot be asked. */
export async function knowsPassword(environment: Environment, context: TaskContext): Promise<boolean> {
  const settings = await settingsOf(environment);
  const { name: user, database, secret } = superuserOf(settings);
  const [password, identity] = await Promise.all([
    decryptPassword(environment, secret, context),
    serverIdentity(environment, settings, context),
  ]);
  return withPostgresql(context, environment, (address) =>
    acceptsLogin({ ...address, user, password, database, identity }),
  );
}

/** Throws `TaskError` when the SOPS file and the server have come apart: nothing that needs the superuser would work. */
export async function checkPassword(environment: Environment, context: TaskContext): Promise<void> {
  if (await knowsPassword(environment, context)) return;
  const { name, secret } = superuserOf(await settingsOf(environment));
  throw new TaskError({
    what: `the database refuses the password of \`${name}\``,
    why: 'the server keeps the password it was given once, and the encrypted file holds another one',
    advice: passwordAdvice(environment.name, secret),
  });
}
