import { reloadDatabase } from '../lib/cluster/embedded/database.ts';
import { databaseCertificateCommands, ensureDatabaseCertificate } from '../lib/database/certificate.ts';
import { task } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { tools } from './tools.ts';

/** The release postgresql is rendered with it, and the server beside the embedded cluster started. */
export const databaseCertificate = task({
  name: 'database-certificate',
  description: "certificate of PostgreSQL, signed by the environment's own authority",
  group: 'secrets',
  private: true,
  lock: true,
  needs: tools('openssl'),
  commands: async ({ options }) => {
    const environment = environmentOf(options);
    return databaseCertificateCommands(environment, await settingsOf(environment));
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const outcome = await ensureDatabaseCertificate(environment, await settingsOf(environment), context);
    // In a pod, the release brings the server its certificate.
    if (outcome === 'changed' && environment.provider === 'embedded') await reloadDatabase(environment);
    context.report(outcome);
  },
});
