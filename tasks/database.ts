import { certificates } from './certificates.ts';
import { connection } from './connection.ts';
import { initHelmfile } from './deploy.ts';
import { task } from './environment-task.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { settingsOf, tools } from './tools.ts';

const roles = () => import('../lib/database/roles.ts');

export const rotateDatabasePassword = task({
  name: 'rotate-database-password',
  description: 'change the passwords in SOPS, PostgreSQL, Vault and the pods; finish an interrupted rotation',
  lock: 'project',
  args: {
    role: {
      type: 'string',
      positional: true,
      default: 'all',
      suggestions: async (options) => {
        const [, ...others] = (await roles()).loginRoles(await settingsOf(options));
        return ['all', 'superuser', ...others.map(({ name }) => name)];
      },
      description: 'superuser, a role with a password of its own, or all',
    },
  },
  check: async (input) => {
    await refuseDevelopmentKeys(input);
    const { loginRoles, selectRoles } = await roles();
    selectRoles(loginRoles(input.settings), input.args.role);
  },
  confirm: ({ args, environment }) =>
    `replace the database passwords (${args.role}) of environment \`${environment.name}\`, also in the encrypted file?`,
  needs: (input) => [
    ...connection(input),
    initHelmfile,
    importGpgKeys,
    certificates,
    ...tools('sops', 'kubectl'),
  ],
  commands: async (input) =>
    (await import('../lib/rotation/dry-run.ts')).rotationCommands(input, input.args.role),
  onCluster: true,
  run: async (context) =>
    (await import('../lib/rotation/rotate.ts')).rotatePasswords(context, context.args.role),
});
