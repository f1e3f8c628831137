import { certificates } from './certificates.ts';
import { createK8s, startK8s } from './cluster.ts';
import { connection } from './connection.ts';
import { installAll, installTier } from './deploy.ts';
import { task } from './environment-task.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

export const initVault = task({
  name: 'init-vault',
  description: 'configure Vault as described in vault/',
  lock: true,
  check: refuseDevelopmentKeys,
  needs: (input) => [...connection(input), importGpgKeys, certificates, ...tools('sops', 'kubectl')],
  // Beside a cluster, Vault runs from the start; in pods its release starts it.
  after: ({ provider }) => [createK8s, startK8s, ...(provider.servers ? [] : [installTier, installAll])],
  commands: async (input) => (await import('../lib/vault/dry-run.ts')).initVaultCommands(input),
  onCluster: true,
  run: async (context) => (await import('../lib/vault/init-vault.ts')).initVault(context),
});
