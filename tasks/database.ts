import { requireCluster } from '../lib/cluster/cluster.ts';
import { loginRoles, selectRoles } from '../lib/database/roles.ts';
import { rotatePasswords } from '../lib/rotation/rotate.ts';
import { rotateCommands } from '../lib/rotation/rotate-commands.ts';
import { task } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { databaseCertificate } from './certificates.ts';
import { connection } from './cluster.ts';
import { initHelmfile } from './deploy.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

export const rotateDatabasePassword = task({
  name: 'rotate-database-password',
  description:
    'new passwords in SOPS, PostgreSQL, Vault and the pods; completes what an interrupted run has begun',
  group: 'secrets',
  lock: true,
  args: {
    role: {
      type: 'string',
      positional: true,
      default: 'all',
      suggestions: ['all', 'superuser', 'app2', 'vault'],
      description: 'superuser, a role with a password of its own, or all',
    },
  },
  check: async (input) => {
    await refuseDevelopmentKeys(input);
    selectRoles(loginRoles(await settingsOf(environmentOf(input.options))), input.args.role);
  },
  confirm: ({ args, options }) =>
    `replace the database passwords (${args.role}) of environment \`${environmentOf(options).name}\`, in its encrypted files too?`,
  needs: ({ options }) => [
    ...connection(options),
    initHelmfile,
    importGpgKeys,
    databaseCertificate,
    ...tools('sops', 'kubectl'),
  ],
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    return rotateCommands(options, await settingsOf(environment), args.role);
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    await rotatePasswords(environment, context.args.role, context);
  },
});
