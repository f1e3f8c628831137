import type { Secured } from '../lib/secrets/development-keys.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { task } from './environment-task.ts';
import { tools } from './tools.ts';

/** `check` of tasks that use secrets on a cluster: refuses publicly known keys where it matters. */
export const refuseDevelopmentKeys = async (input: Secured): Promise<void> =>
  (await import('../lib/secrets/development-keys.ts')).refuseDevelopmentKeys(input);

export const importGpgKeys = task({
  name: 'import-gpg-keys',
  description: "import the operational SOPS key into the project's own keyring",
  lock: true,
  needs: tools('gpg'),
  commands: async (input) => (await import('../lib/secrets/keyring.ts')).importCommands(input),
  run: async (context) => (await import('../lib/secrets/keyring.ts')).importKeys(context),
});

/** Runs before a cluster is created, which takes minutes on minikube; the embedded one sets the password itself. */
export const databasePasswords = task({
  name: 'check-database-passwords',
  description: 'check that the database passwords can be used',
  private: true,
  needs: [importGpgKeys, ...tools('sops')],
  commands: () => [],
  run: async (context) => (await import('../lib/database/roles.ts')).checkPasswords(context),
});

const editing = () => import('../lib/operations/edit-secrets.ts');
const rotation = () => import('../lib/secrets/rotate.ts');

export const makeSecrets = task({
  name: 'make-secrets',
  description: 'create the missing secrets files of the environment, with random encrypted values',
  lock: 'project',
  needs: [importGpgKeys, ...tools('sops')],
  check: refuseDevelopmentKeys,
  commands: async (input) => (await import('../lib/secrets/make.ts')).makeCommands(input),
  run: async (context) => (await import('../lib/secrets/make.ts')).makeSecrets(context),
});

export const editSecrets = task({
  name: 'edit-secrets',
  description: 'open an encrypted file of the environment in your editor',
  lock: 'project',
  interactive: true,
  args: {
    file: {
      type: 'string',
      positional: true,
      optional: true,
      suggestions: async (options) =>
        (await import('../lib/secrets/encrypted-file.ts')).secretNames(environmentOf(options)),
      description: 'a file under secrets/; default: database.yaml, or the only one',
    },
  },
  needs: [importGpgKeys, ...tools('sops')],
  check: async (input) => (await editing()).checkEdit(input, input.args.file),
  commands: async (input) => (await editing()).editCommands(input, input.args.file),
  run: async (context) => (await editing()).editSecrets(context, context.args.file),
});

export const rotateKeys = task({
  name: 'rotate-keys',
  description: 'replace the operational SOPS key and re-encrypt the secrets of all environments for it',
  lock: 'project',
  args: {
    keyFile: {
      type: 'path',
      optional: true,
      description: 'file for the private half, outside of the project; default: the present one',
    },
  },
  needs: [importGpgKeys, ...tools('sops')],
  check: async (input) => (await import('../lib/secrets/new-key.ts')).checkPlace(input, input.args.keyFile),
  confirm: 'replace the operational key and re-encrypt the secrets of all environments for it?',
  commands: async (input) => (await rotation()).rotateKeysCommands(input, input.args.keyFile),
  run: async (context) => (await rotation()).rotateKeys(context, context.args.keyFile),
});

export const checkSecrets = task({
  name: 'check-secrets',
  description: 'search for secrets that are, or would be, committed in plain text',
  lock: true,
  needs: tools('gpg', 'sops'),
  commands: async (input) => (await import('../lib/secrets/check.ts')).checkCommands(input),
  run: async (context) => (await import('../lib/secrets/check.ts')).checkSecrets(context),
});
