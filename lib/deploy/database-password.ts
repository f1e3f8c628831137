import { TaskError } from '@k8s-deployment/runner';
import { withPostgresql } from '../cluster/cluster.ts';
import { acceptsLogin } from '../database/login.ts';
import { passwordAdvice, superuserLogin, superuserOf } from '../database/roles.ts';
import type { Release } from '../helm/helmfile.ts';
import type { Deployed } from '../helm/releases.ts';
import type { Context } from '../settings/context.ts';

/**
 * Throws `TaskError` if PostgreSQL refuses the superuser's password of the encrypted file, because nothing that needs
 * the superuser would work. Rejects if either cannot be read.
 */
export async function checkPassword(context: Context): Promise<void> {
  const login = await superuserLogin(context);
  if (!(await withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }))))
    throw refused(context);
}

/**
 * Throws `TaskError` if the deployed PostgreSQL refuses that password: `devops` would give the applications wrong
 * ones before `postgresql` fails. Does nothing if neither is in `changed`, or if PostgreSQL does not answer.
 */
export async function checkDeployedPassword(
  context: Context,
  changed: readonly Release[],
  deployed: Deployed,
): Promise<void> {
  if (!changed.some(({ name }) => name === 'devops' || name === 'postgresql')) return;
  if (!deployed.has('database/postgresql')) return;
  const login = await superuserLogin(context);
  const accepts = withPostgresql(context, (address) => acceptsLogin({ ...login, ...address }), 0);
  // The install may repair a server that does not answer.
  if (!(await accepts.catch(() => true))) throw refused(context, '; nothing was changed');
}

function refused({ environment, settings }: Context, consequence = ''): TaskError {
  const { name, secret } = superuserOf(settings);
  return new TaskError({
    what: `the database refuses the password of \`${name}\``,
    why: `the server and the encrypted file have different passwords${consequence}`,
    advice: passwordAdvice(environment.name, secret),
  });
}
