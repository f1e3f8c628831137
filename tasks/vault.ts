import { requireCluster } from '../lib/cluster/cluster.ts';
import { task } from '../lib/runner/runner.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { initVault as bringToState, initVaultCommands } from '../lib/vault/access.ts';
import { databaseCertificate } from './certificates.ts';
import { connection, createK8s, startK8s } from './cluster.ts';
import { installAll, installTier } from './deploy.ts';
import { importGpgKeys, refuseDevelopmentKeys } from './secrets.ts';
import { tools } from './tools.ts';

export const initVault = task({
  name: 'init-vault',
  description: 'bring Vault to the state kept under vault/',
  group: 'secrets',
  lock: true,
  check: refuseDevelopmentKeys,
  needs: ({ options }) => [
    ...connection(options),
    importGpgKeys,
    databaseCertificate,
    ...tools('sops', 'kubectl'),
  ],
  // In a pod, Vault is there once its release is; beside the embedded cluster it runs from the start.
  after: ({ options }) =>
    environmentOf(options).provider === 'embedded'
      ? [createK8s, startK8s]
      : [createK8s, startK8s, installTier, installAll],
  commands: ({ options }) => initVaultCommands(environmentOf(options)),
  run: async (context) => {
    const environment = environmentOf(context.options);
    await requireCluster(environment, context);
    await bringToState(environment, context);
  },
});
