import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { root } from '../../../lib/ground/project.ts';
import { objectOf, type VaultClient, vaultClient } from '../../../lib/vault/api/client.ts';
import { convergeVault, type VaultChange } from '../../../lib/vault/api/converge.ts';
import { initialiseVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { generateRootToken, operatorToken, revokeToken } from '../../../lib/vault/api/operator.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import type { DesiredState } from '../../../lib/vault/api/state-schema.ts';
import { vaultStatus } from '../../../lib/vault/health.ts';
import { list, startApiServer } from '../api-server.ts';
import { databaseServer } from '../database/server.ts';
import { type RealVault, realVault } from './real-vault.ts';

/* A real Vault and what it needs, and the steps of init-vault on it. */

export const api = await startApiServer();
export const database = await databaseServer('localhost', { log_statement: 'all' });
export const vault = await realVault();
await vault.start();

const { mounts, auth, ...others } = await loadDesiredState(join(root, 'vault'));
const limited = <Of>(mount: Of) => ({ ...mount, maxTtl: 172_800 });
/** What init-vault is given, and tests change: the project's state, with a longest lease everywhere. */
export const given = {
  state: { ...others, mounts: mounts.map(limited), auth: auth.map(limited) } as DesiredState,
  password: 'first-password',
};

const roles = { applications: { app1: { password: '' } }, issuers: { vault: { password: given.password } } };
await setUpDatabases((use) => use(database.login), JSON.stringify(roles));

export async function removeServers(): Promise<void> {
  await vault.remove();
  await api.stop();
  await database.remove();
}

export const settingsOf = ({ folder }: RealVault) => ({
  database: {
    ...{ host: 'postgresql.database', port: 5432, name: 'postgres', sslmode: 'verify-full' },
    issuers: { vault: { password: 'sops://database.yaml#/vaultPassword' } },
  },
  vault: { auditLog: join(folder, 'audit.log'), databaseAddress: `127.0.0.1:${database.login.port}` },
});

export const anonymous = vaultClient(vault);
export const replicas = [{ name: 'vault', client: anonymous }];

export const operatorClient = async (): Promise<VaultClient> =>
  anonymous.withToken((await readKeys(vault.keysPlace))?.admin_token ?? '');

/** Calls `use` with a root token generated with the unseal key. */
export async function asRoot(use: (client: VaultClient) => Promise<unknown>): Promise<void> {
  const keys = await readKeys(vault.keysPlace);
  if (keys === undefined) throw new Error('no keys');
  const token = await generateRootToken(anonymous, keys);
  await use(anonymous.withToken(token));
  await revokeToken(anonymous, token);
}

export const status = async () => {
  const replicas = [{ name: 'vault', client: await operatorClient() }];
  const found = await vaultStatus(replicas, given.state, settingsOf(vault), database.authority);
  return [found.initialized, found.sealed, found.configured];
};

/** The whole of init-vault. Returns what it changed, as `path: difference`. */
export async function converge(of = vault): Promise<string[]> {
  const { keysPlace } = of;
  const { state, password } = given;
  const settings = settingsOf(of);
  const replicas = [{ name: 'vault', client: vaultClient(of) }];
  const { client } = await initialiseVault({ replicas, keysPlace });
  const changes: VaultChange[] = [];
  const onChange = (change: VaultChange) => changes.push(change);
  const token = await operatorToken({ client, keysPlace, state, settings, onChange });
  await convergeVault({
    client: client.withToken(token),
    state,
    sources: {
      kubernetes: {
        ...{ host: api.address, reviewer: api.token },
        caCertificate: await readFile(api.authority, 'utf8'),
      },
      settings,
      decrypt: async (file, key) => {
        assert.is(`${file} ${key}`, 'database.yaml vaultPassword');
        return password;
      },
      record: join(of.folder, 'written.json'),
      databaseAuthority: database.authority,
    },
    onChange,
  });
  return changes
    .filter(({ difference }) => difference !== undefined)
    .map(({ path, difference }) => `${path}: ${difference}`);
}

/** Logs in with a token of a ServiceAccount, which is created if it is new. */
export async function login(role: string, namespace: string, name: string, audience = 'vault') {
  const accounts = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
  ];
  await api.kubectl(['apply', '-f', '-'], list(accounts));
  const token = await api.kubectl(['-n', namespace, 'create', 'token', name, '--audience', audience]);
  const body = { role, jwt: token.trim() };
  const answer = await anonymous.request('POST', 'auth/kubernetes/login', { body });
  return anonymous.withToken(String(objectOf(answer.body.auth)?.client_token));
}
