import { connection } from './connection.ts';
import { task } from './environment-task.ts';
import { importGpgKeys } from './secrets.ts';
import { tools } from './tools.ts';

/** On a cluster that others use too, the authority comes from an encrypted file. */
export const certificateAuthority = task({
  name: 'certificate-authority',
  description: 'bring the certificate authority that the team shares',
  group: 'secrets',
  private: true,
  lock: true,
  needs: (input) => [...connection(input), importGpgKeys, ...tools('kubectl', 'sops', 'openssl')],
  confirm: ({ environment, options }) =>
    options.replaceAuthority
      ? `replace the certificate authority of environment \`${environment.name}\` in the cluster? PostgreSQL restarts, and its clients need the new one`
      : undefined,
  commands: async (input) =>
    (await import('../lib/certificates/shared-authority.ts')).shareAuthorityCommands(input),
  onCluster: true,
  run: async (context) => (await import('../lib/certificates/shared-authority.ts')).shareAuthority(context),
});

/** For the release postgresql, and the server beside the embedded cluster. */
export const databaseCertificate = task({
  name: 'database-certificate',
  description: "create PostgreSQL's certificate, signed by the environment's authority",
  group: 'secrets',
  private: true,
  lock: true,
  needs: ({ provider }) => (provider.ownsCluster ? tools('openssl') : [certificateAuthority]),
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
