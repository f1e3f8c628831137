import { need } from '@k8s-deployment/runner';
import { connection } from './connection.ts';
import { task } from './environment-task.ts';
import { importGpgKeys } from './secrets.ts';
import { tools } from './tools.ts';

const offline = {
  offline: { type: 'boolean', description: 'without the cluster, to render only' },
} as const;

/** On a cluster that others use too, the authority comes from an encrypted file. */
export const certificateAuthority = task({
  name: 'certificate-authority',
  description: 'bring the certificate authority that the team shares',
  private: true,
  lock: true,
  args: offline,
  needs: ({ args, ...input }) => [
    ...(args.offline ? [] : [...connection(input), ...tools('kubectl')]),
    importGpgKeys,
    ...tools('sops', 'openssl'),
  ],
  confirm: ({ environment, options }) =>
    options.replaceAuthority
      ? `replace the certificate authority of environment \`${environment.name}\` in the cluster? PostgreSQL restarts, and its clients need the new one`
      : undefined,
  commands: async (input) =>
    (await import('../lib/certificates/shared-authority.ts')).shareAuthorityCommands(input, input.args),
  onCluster: ({ args }) => !args.offline,
  run: async (context) =>
    (await import('../lib/certificates/shared-authority.ts')).shareAuthority(context, context.args),
});

/** For the releases, and the servers beside the embedded cluster. */
export const certificates = task({
  name: 'certificates',
  description: "create the certificates of PostgreSQL and Vault, signed by the environment's authority",
  private: true,
  lock: true,
  args: offline,
  needs: ({ args, provider }) =>
    provider.ownsCluster ? tools('openssl') : [need(certificateAuthority, args)],
  commands: async (input) =>
    (await import('../lib/vault/server-certificates.ts')).serverCertificatesCommands(input),
  run: async (context) =>
    (await import('../lib/vault/server-certificates.ts')).ensureServerCertificates(context, context.args),
});
