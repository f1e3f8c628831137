import { task } from './environment-task.ts';
import { tools } from './tools.ts';

/** For the release postgresql, and the server beside the embedded cluster. */
export const databaseCertificate = task({
  name: 'database-certificate',
  description: "create PostgreSQL's certificate, signed by the environment's authority",
  group: 'secrets',
  private: true,
  lock: true,
  needs: tools('openssl'),
  commands: async (input) =>
    (await import('../lib/database/certificate.ts')).databaseCertificateCommands(input),
  run: async (context) => {
    const { ensureDatabaseCertificate } = await import('../lib/database/certificate.ts');
    const outcome = await ensureDatabaseCertificate(context);
    // A server in a pod gets it from the release.
    if (outcome === 'changed') await (await context.provider.load()).reloadDatabase?.(context.environment);
    return outcome;
  },
});
