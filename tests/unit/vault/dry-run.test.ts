import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultCommands } from '../../../lib/vault/dry-run.ts';
import { type DesiredState, loadDesiredState } from '../../../lib/vault/state.ts';
import { failureOf } from './scripted-vault.ts';

const folder = fileURLToPath(new URL('../../../vault', import.meta.url));

const input = {
  environment: 'development',
  address: 'http://127.0.0.1:8200',
  keysPath: '.state/development/vault/keys.json',
  settings: { database: { host: 'postgresql.database', port: 5432, user: 'postgres' } },
  kubernetes: { host: 'https://kubernetes.default.svc' },
};

test('the project’s state as plain commands', async () => {
  const state = await loadDesiredState(folder);
  assert.equal(
    vaultCommands({ ...input, state }).map((line) => line.replace(folder, 'vault')),
    [
      'export VAULT_ADDR=http://127.0.0.1:8200',
      'until vault status > /dev/null 2>&1; [ $? -ne 1 ]; do sleep 1; done',
      '(umask 077; mkdir -p .state/development/vault; vault operator init -key-shares=1 -key-threshold=1 -format=json > .state/development/vault/keys.json)',
      "node -e 'process.stdout.write(JSON.parse(fs.readFileSync(process.argv[1])).unseal_keys_b64[0])' .state/development/vault/keys.json | vault write sys/unseal key=-",
      'export VAULT_TOKEN="$(node -e \'process.stdout.write(JSON.parse(fs.readFileSync(process.argv[1])).root_token)\' .state/development/vault/keys.json)"',
      'vault policy write app1-back "$PWD/vault/policies/app1-back.hcl"',
      'vault policy write vso-transit "$PWD/vault/policies/vso-transit.hcl"',
      "vault secrets enable -path=kv -version=2 -description='Parameters of the applications' kv",
      "vault secrets enable -path=transit -description='Encryption of the operator'\\''s client cache' transit",
      'vault write -f transit/keys/vso-client-cache type=aes256-gcm96',
      'sops decrypt --extract \'["password"]\' environments/development/secrets/database.yaml | vault kv put -mount=kv app1/database DB_HOST=postgresql.database DB_PORT=5432 DB_USER=postgres DB_PASSWORD=-',
      "vault auth enable -path=kubernetes -description='ServiceAccounts of this cluster' kubernetes",
      'vault write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc',
      'vault write auth/kubernetes/role/app1-back bound_service_account_names=app1-back bound_service_account_namespaces=backend audience=vault token_policies=app1-back token_ttl=3600s',
      'vault write auth/kubernetes/role/vso-transit bound_service_account_names=vault-operator-vault-secrets-operator-controller-manager bound_service_account_namespaces=vault audience=vault token_policies=vso-transit token_ttl=3600s',
    ],
  );
});

const state: DesiredState = {
  file: 'state.yaml',
  policies: [],
  mounts: [{ path: 'kv', type: 'kv', version: 2, description: 'd', maxTtlSeconds: 60, keys: [] }],
  auth: [{ path: 'kubernetes', description: 'd', maxTtlSeconds: 60, roles: [] }],
  keyValues: [
    {
      mount: 'kv',
      path: 'app',
      values: [
        { name: 'A', from: { file: 'f.yaml', key: 'a' } },
        { name: 'B', from: { file: 'f.yaml', key: 'b' } },
      ],
    },
  ],
};

test('a cluster outside of Vault’s own gets its certificate from a file and the token by stdin', () => {
  const kubernetes = {
    host: 'https://127.0.0.1:6443',
    caCertificateFile: 'ca.crt',
    reviewerTokenCommand: 'kubectl create token reviewer',
  };
  assert.is(
    vaultCommands({ ...input, state, kubernetes }).at(-1),
    'kubectl create token reviewer | vault write auth/kubernetes/config kubernetes_host=https://127.0.0.1:6443 kubernetes_ca_cert=@ca.crt disable_local_ca_jwt=true token_reviewer_jwt=-',
  );
});

test('a second secret of a path comes by a file descriptor, no secret ever as an argument', () => {
  assert.ok(
    vaultCommands({ ...input, state }).includes(
      'sops decrypt --extract \'["a"]\' environments/development/secrets/f.yaml | vault kv put -mount=kv app A=- B=@<(sops decrypt --extract \'["b"]\' environments/development/secrets/f.yaml)',
    ),
  );
});

test('the longest lease is part of enabling', () => {
  const commands = vaultCommands({ ...input, state });
  assert.ok(
    commands.includes('vault secrets enable -path=kv -version=2 -description=d -max-lease-ttl=60s kv'),
  );
  assert.ok(
    commands.includes('vault auth enable -path=kubernetes -description=d -max-lease-ttl=60s kubernetes'),
  );
});

test('a missing setting is named', async () => {
  const loaded = await loadDesiredState(folder);
  const failure = await failureOf((async () => vaultCommands({ ...input, state: loaded, settings: {} }))());
  assert.match(failure.what, '`database.host`');
});

test.run();
