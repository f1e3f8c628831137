import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { serverIdentity } from '../../database/certificate.ts';
import { isRefusedLogin } from '../../database/login.ts';
import { decryptPassword, passwordAdvice } from '../../database/password.ts';
import { superuserOf, wantedRoles } from '../../database/roles.ts';
import { setUpDatabases } from '../../database/set-up.ts';
import { ifThere } from '../../ground/if-there.ts';
import type { Outcome } from '../../ground/outcome.ts';
import type { Context } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { requireState } from './state.ts';

/** Path of a file that exists once the data folder has roles and databases. */
export const rolesMarker = (state: string): string => join(state, 'postgresql', 'roles-made');

/**
 * Creates roles and databases once, because Vault logs in as one of the roles while releases are still being
 * installed. Later the chart's Job sets them up, as on other clusters.
 */
export async function ensureRoles(context: Context): Promise<Outcome> {
  const { environment, settings } = context;
  const done = rolesMarker(environment.state);
  if ((await ifThere(readFile(done), done)) !== undefined) return 'unchanged';
  const { ports } = await requireState(environment);
  const { name: user, database, secret } = superuserOf(settings);
  const password = await decryptPassword(context, secret);
  const identity = await serverIdentity(context);
  const login = { host: '127.0.0.1', port: ports.postgresql, user, password, database, identity };
  const wanted = await wantedRoles(context);
  await setUpDatabases(login, wanted).catch((error: Error) => {
    throw new TaskError({
      what: `the roles of the database could not be created as \`${user}\``,
      why: error.message,
      advice: isRefusedLogin(error)
        ? passwordAdvice(environment.name, secret)
        : `see .state/${environment.name}/logs/postgresql.log, then run again`,
      cause: error,
    });
  });
  await writeWhole(done, '');
  return 'changed';
}
