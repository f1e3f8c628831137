import { task } from './environment-task.ts';
import { tools } from './tools.ts';

/** The release postgresql is rendered with it, and the server beside the embedded cluster started. */
export const databaseCertificate = task({
  name: 'database-certificate',
  description: "certificate of PostgreSQL, signed by the environment's own authority",
  group: 'secrets',
  private: true,
  lock: true,
  needs: tools('openssl'),
  commands: async ({ environment, settings }) => {
    const { databaseCertificateCommands } = await import('../lib/database/certificate.ts');
    return databaseCertificateCommands({ environment, settings });
  },
  run: async (context) => {
    const { environment, provider } = context;
    const { ensureDatabaseCertificate } = await import('../lib/database/certificate.ts');
    const outcome = await ensureDatabaseCertificate(context);
    // In a pod, the release brings the server its certificate.
    if (outcome === 'changed') await (await provider.load()).reloadDatabase?.(environment);
    context.report(outcome);
  },
});
