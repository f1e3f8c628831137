import { type Options, task } from '../lib/runner/runner.ts';
import { secretNames } from '../lib/secrets/encrypted-file.ts';
import { importCommands, importKeys } from '../lib/secrets/sops.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { environmentNames } from '../lib/settings/settings.ts';
import { tools } from './tools.ts';

/** The `check` of tasks that bring secrets to a cluster: none that anybody can read go to one that matters. */
export const refuseDevelopmentKeys = async (input: { readonly options: Options }): Promise<void> => {
  const keys = await import('../lib/secrets/development-keys.ts');
  await keys.refuseDevelopmentKeys(input);
};

export const importGpgKeys = task({
  name: 'import-gpg-keys',
  description: "import the operational SOPS key into the project's own keyring",
  group: 'secrets',
  lock: true,
  needs: tools('gpg'),
  commands: ({ options }) => importCommands(environmentOf(options)),
  run: async (context) => {
    context.report(await importKeys(environmentOf(context.options), context));
  },
});

/** Before a cluster is created, which takes minutes on minikube. The embedded one starts its database with a password itself. */
export const databasePasswords = task({
  name: 'check-database-passwords',
  description: 'check that the passwords of the database can be used',
  group: 'secrets',
  private: true,
  needs: [importGpgKeys, ...tools('sops')],
  commands: () => [],
  run: async (context) => {
    const { checkPasswords } = await import('../lib/database/check-passwords.ts');
    await checkPasswords(environmentOf(context.options), context);
  },
});

/** Names of the encrypted files of any environment. */
const fileNames = async (): Promise<string[]> => [
  ...new Set((await Promise.all((await environmentNames()).map(secretNames))).flat()),
];

export const makeSecrets = task({
  name: 'make-secrets',
  description: 'make the secrets files that the environment lacks, with random values, encrypted',
  group: 'secrets',
  lock: true,
  needs: [importGpgKeys, ...tools('sops')],
  check: refuseDevelopmentKeys,
  commands: async ({ options }) => {
    const { makeCommands } = await import('../lib/secrets/make.ts');
    return makeCommands(environmentOf(options));
  },
  run: async (context) => {
    const make = await import('../lib/secrets/make.ts');
    await make.makeSecrets(environmentOf(context.options), context);
  },
});

export const editSecrets = task({
  name: 'edit-secrets',
  description: 'open an encrypted file of the environment in your editor',
  group: 'secrets',
  lock: true,
  interactive: true,
  args: {
    file: {
      type: 'choice',
      positional: true,
      optional: true,
      choices: fileNames,
      noun: 'secrets file',
      description: 'a file under secrets/; default: database.yaml, or the only one there is',
    },
  },
  needs: [importGpgKeys, ...tools('sops')],
  check: async ({ args, options }) => {
    const { fileToEdit, requireTerminal } = await import('../lib/operations/edit-secrets.ts');
    requireTerminal(await fileToEdit(environmentOf(options).name, args.file));
  },
  commands: async ({ args, options }) => {
    const { editCommands, nameOfFile } = await import('../lib/operations/edit-secrets.ts');
    const environment = environmentOf(options);
    return editCommands(environment, await nameOfFile(environment.name, args.file));
  },
  run: async (context) => {
    const { editSecrets, fileToEdit } = await import('../lib/operations/edit-secrets.ts');
    const environment = environmentOf(context.options);
    await editSecrets(environment, await fileToEdit(environment.name, context.args.file), context);
  },
});

export const rotateKeys = task({
  name: 'rotate-keys',
  description: 'make a new operational SOPS key and encrypt all secrets of all environments for it',
  group: 'secrets',
  lock: true,
  args: {
    keyFile: {
      type: 'string',
      optional: true,
      description: 'where the private half goes, outside of the project; default: where it is now',
    },
  },
  needs: [importGpgKeys, ...tools('sops')],
  check: async ({ args, options }) => {
    const { checkPlace } = await import('../lib/secrets/key-place.ts');
    await checkPlace(options, args.keyFile);
  },
  confirm: 'make a new operational key and encrypt the secrets of all environments for it?',
  commands: async ({ args, options }) => {
    const { rotateCommands } = await import('../lib/secrets/rotate.ts');
    return rotateCommands(environmentOf(options), args.keyFile);
  },
  run: async (context) => {
    const { rotateKeys } = await import('../lib/secrets/rotate.ts');
    await rotateKeys(environmentOf(context.options), context.args.keyFile, context);
  },
});

export const checkSecrets = task({
  name: 'check-secrets',
  description: 'look for secrets that are, or are about to be, committed in plain',
  group: 'secrets',
  lock: true,
  needs: tools('gpg', 'sops'),
  commands: async ({ options }) => {
    const { checkCommands } = await import('../lib/secrets/check.ts');
    return checkCommands(environmentOf(options));
  },
  run: async (context) => {
    const { checkSecrets } = await import('../lib/secrets/check.ts');
    await checkSecrets(environmentOf(context.options), context);
  },
});
