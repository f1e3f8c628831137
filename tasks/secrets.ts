import { environmentOf } from '../lib/environment.ts';
import { task } from '../lib/runner/runner.ts';
import { importCommands, importKeys } from '../lib/sops.ts';
import { tools } from './tools.ts';

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
