import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { root } from '../../../lib/ground/project.ts';
import { objectOf, type VaultClient, vaultClient } from '../../../lib/vault/api/client.ts';
import { convergeVault, type VaultChange } from '../../../lib/vault/api/converge.ts';
import type { DesiredState } from '../../../lib/vault/api/desired-state.ts';
import { initialiseVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { operatorToken } from '../../../lib/vault/api/operator.ts';
import { generateRootToken, revokeToken } from '../../../lib/vault/api/root-token.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { vaultStatus } from '../../../lib/vault/api/vault-status.ts';
import { type DatabaseServer, databaseServer } from '../database/server.ts';
import { type RealVault, realVault } from './real-vault.ts';
import { type TokenReview, tokenReview } from './token-review.ts';

/* A real Vault and what it needs, and the steps of init-vault on it. */

export const reviewer = 'token-of-the-reviewer';

export type Servers = {
  readonly vault: RealVault;
  readonly review: TokenReview;
  readonly database: DatabaseServer;
  state: DesiredState;
  password: string;
};

/** Adds each one as it starts: `removeServers` ends those that started before a failure. */
export async function startServers(context: Servers): Promise<void> {
  const [state, password] = [await loadDesiredState(join(root, 'vault')), 'first-password'];
  Object.assign(context, { state, password, review: await tokenReview(reviewer), vault: await realVault() });
  await context.vault.start();
  Object.assign(context, { database: await databaseServer('localhost', { log_statement: 'all' }) });
  const roles = { applications: { app1: { password: '' } }, issuers: { vault: { password } } };
  await setUpDatabases(context.database.login, JSON.stringify(roles));
}

export async function removeServers({ vault, review, database }: Partial<Servers>): Promise<void> {
  await vault?.remove();
  review?.close();
  await database?.remove();
}

export const settingsOf = ({ vault, database }: Servers) => ({
  database: {
    ...{ host: 'postgresql.database', port: 5432, name: 'postgres', sslmode: 'verify-full' },
    issuers: { vault: { password: 'sops://database.yaml#/vaultPassword' } },
  },
  vault: { auditLog: join(vault.folder, 'audit.log'), databaseAddress: `127.0.0.1:${database.login.port}` },
});

export const anonymous = ({ vault }: Servers) => vaultClient(vault);
export const replicasOf = (context: Servers) => [{ name: 'vault', client: anonymous(context) }];

export async function operatorClient(context: Servers): Promise<VaultClient> {
  return anonymous(context).withToken((await readKeys(context.vault.keysPath))?.adminToken ?? '');
}

/** Calls `use` with a root token generated with the unseal key. */
export async function asRoot(
  context: Servers,
  use: (client: VaultClient) => Promise<unknown>,
): Promise<void> {
  const keys = await readKeys(context.vault.keysPath);
  if (keys === undefined) throw new Error('no keys');
  const root = await generateRootToken(anonymous(context), keys);
  await use(anonymous(context).withToken(root));
  await revokeToken(anonymous(context), root);
}

export const status = async (context: Servers, client?: VaultClient) =>
  vaultStatus(
    [{ name: 'vault', client: client ?? (await operatorClient(context)) }],
    context.state,
    settingsOf(context),
    () => undefined,
  );

/** The whole of init-vault. */
export async function converge(context: Servers): Promise<VaultChange[]> {
  const { vault, state, review, password } = context;
  const { keysPath } = vault;
  const settings = settingsOf(context);
  const { client } = await initialiseVault({ replicas: replicasOf(context), keysPath });
  const { token, changes } = await operatorToken({
    ...{ client, keysPath, state, settings },
    secret: () => undefined,
  });
  const others = await convergeVault({
    client: client.withToken(token),
    state,
    kubernetes: { host: review.host, reviewer },
    sources: {
      settings,
      decrypt: async (file, key) => {
        assert.is(`${file} ${key}`, 'database.yaml vaultPassword');
        return password;
      },
      record: join(vault.folder, 'written.json'),
      databaseAuthority: context.database.authority,
    },
  });
  return [...changes, ...others];
}

export const changed = (changes: VaultChange[]) =>
  changes
    .filter(({ outcome }) => outcome === 'changed')
    .map(({ path, difference }) => `${path}: ${difference}`);

export async function login(context: Servers, role: string, jwt: string) {
  const { body } = await anonymous(context).request('POST', 'auth/kubernetes/login', { body: { role, jwt } });
  return anonymous(context).withToken(String(objectOf(body.auth)?.client_token));
}
