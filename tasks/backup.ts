import type { Options } from '@k8s-deployment/runner';
import { certificates } from './certificates.ts';
import { connection } from './connection.ts';
import { type Early, task } from './environment-task.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { settingsOf, tools } from './tools.ts';

const place = () => import('../lib/backup/place.ts');
const plain = () => import('../lib/backup/dry-run.ts');

/** In a pod, the server's own pg_dump is used. */
const databaseNeeds = (input: Pick<Early, 'provider'>) => [
  ...connection(input),
  importGpgKeys,
  certificates,
  ...tools('sops', 'kubectl', ...(input.provider.servers ? (['postgresql-client'] as const) : [])),
];

const newFolder = {
  folder: {
    type: 'path',
    positional: true,
    optional: true,
    description: 'a new folder for the backup; default: one in .state/<environment>/backups',
  },
} as const;

const backupFolder = {
  type: 'path',
  positional: true,
  description: 'the folder of the backup',
} as const;

const databaseNames = async (options: Options) =>
  (await import('../lib/database/roles.ts')).databasesOf(await settingsOf(options));

export const backupDatabase = task({
  name: 'backup-database',
  description: "dump every application's database to a folder, and try to restore it",
  lock: true,
  args: newFolder,
  check: async (input) => (await place()).checkNewPlace(input.args.folder),
  needs: databaseNeeds,
  commands: async (input) => (await plain()).backupDatabaseCommands(input, input.args.folder),
  onCluster: true,
  run: async (context) =>
    (await import('../lib/backup/database.ts')).backupDatabase(context, context.args.folder),
});

export const restoreDatabase = task({
  name: 'restore-database',
  description: 'restore databases from a backup, check them, then put them in place',
  lock: true,
  args: {
    folder: backupFolder,
    databases: {
      type: 'string',
      noun: 'name',
      positional: true,
      variadic: true,
      optional: true,
      suggestions: databaseNames,
      description: 'databases to restore; default: all of the backup',
    },
    replace: { type: 'boolean', description: 'also replace databases that are not empty' },
  },
  check: async (input) => {
    await refuseDevelopmentKeys(input);
    await (await import('../lib/backup/database.ts')).openBackup(input, input.args);
  },
  confirm: ({ args, environment }) =>
    `restore the databases of environment \`${environment.name}\` from ${args.folder}${args.replace ? ', and delete their present content' : ''}?`,
  needs: databaseNeeds,
  commands: async (input) => (await plain()).restoreDatabaseCommands(input, input.args),
  onCluster: true,
  run: async (context) => (await import('../lib/backup/database.ts')).restoreDatabase(context, context.args),
});

export const backupVault = task({
  name: 'backup-vault',
  description: 'save a snapshot of Vault, and its encrypted keys, to a folder',
  lock: true,
  args: newFolder,
  check: async (input) => (await place()).checkNewPlace(input.args.folder),
  needs: (input) => [...connection(input), importGpgKeys, ...tools('sops', 'kubectl')],
  commands: async (input) => (await plain()).backupVaultCommands(input, input.args.folder),
  onCluster: true,
  run: async (context) => (await import('../lib/backup/vault.ts')).backupVault(context, context.args.folder),
});

export const restoreVault = task({
  name: 'restore-vault',
  description: 'replace everything in Vault by a snapshot, and open it with the keys of that time',
  lock: true,
  args: { folder: backupFolder },
  check: async (input) => {
    await refuseDevelopmentKeys(input);
    await (await import('../lib/backup/vault.ts')).vaultBackup(input.args.folder);
  },
  confirm: ({ args, environment }) =>
    `replace everything in Vault of environment \`${environment.name}\` by the snapshot in ${args.folder}?`,
  needs: (input) => [...connection(input), importGpgKeys, certificates, ...tools('sops', 'kubectl')],
  commands: async (input) => (await plain()).restoreVaultCommands(input, input.args.folder),
  onCluster: true,
  run: async (context) => (await import('../lib/backup/vault.ts')).restoreVault(context, context.args.folder),
});
