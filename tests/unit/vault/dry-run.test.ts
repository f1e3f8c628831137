import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DesiredState } from '../../../lib/vault/api/desired-state.ts';
import { initCommands, unsealCommands } from '../../../lib/vault/api/dry-run.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { failureOf } from './scripted-vault.ts';

const folder = fileURLToPath(new URL('../../../vault', import.meta.url));

const input = {
  environment: 'development',
  address: 'http://127.0.0.1:8200',
  keysPath: '.state/development/vault/keys.json',
  databaseAuthorityFile: 'ca.crt',
  settings: {
    database: { host: 'postgresql.database', port: 5432, name: 'postgres', sslmode: 'require' },
    vault: { auditLog: 'stdout', databaseAddress: '127.0.0.1:5432' },
  },
  kubernetes: { host: 'https://kubernetes.default.svc' },
};

test('the project’s state as plain commands', async () => {
  const state = await loadDesiredState(folder);
  const commands = initCommands({ ...input, state }).map((line) => line.replaceAll(folder, 'vault'));
  const said = commands.map((line) => line.replace(/node -e '[^']*'/g, 'node'));
  assert.equal(said.slice(0, 8), [
    'export VAULT_ADDR=http://127.0.0.1:8200',
    'until vault status > /dev/null 2>&1; [ $? -ne 1 ]; do sleep 1; done',
    '(umask 077; mkdir -p .state/development/vault; vault operator init -key-shares=1 -key-threshold=1 -format=json > .state/development/vault/keys.json)',
    'node .state/development/vault/keys.json | vault write sys/unseal key=-',
    'export VAULT_TOKEN="$(node .state/development/vault/keys.json)"',
    "vault audit enable -path=file -description='Every request and answer' file file_path=stdout",
    'vault policy write operations vault/policies/operations.hcl',
    'vault token create -orphan -no-default-policy -policy=operations -period=2592000s -display-name=init-vault -format=json | node .state/development/vault/keys.json',
  ]);
  assert.equal(said.slice(8, 12), [
    'vault token revoke -self',
    'export VAULT_TOKEN="$(node .state/development/vault/keys.json)"',
    'vault policy write vso-transit vault/policies/vso-transit.hcl',
    `sed -e 's|\\\${application}|app1|g' -e 's|\\\${backend}|app1-back|g' -e 's|\\\${database}|app1|g' vault/application/policy.hcl vault/application/database-policy.hcl | vault policy write app1-back -`,
  ]);
  assert.match(commands[4] ?? '', /\.root_token\b/);
  assert.match(commands[9] ?? '', /\.admin_token\b/);
  assert.is(
    commands.at(-1),
    "sops decrypt --extract '[\"vaultPassword\"]' environments/development/secrets/database.yaml | vault write database/config/postgresql plugin_name=postgresql-database-plugin allowed_roles=app1-back connection_url='postgresql://{{username}}:{{password}}@127.0.0.1:5432/postgres?sslmode=require' username=vault password=- tls_ca=@ca.crt password_authentication=scram-sha-256 max_open_connections=4",
  );
  assert.ok(
    commands.includes(
      'vault write auth/kubernetes/role/app1-back bound_service_account_names=app1-back bound_service_account_namespaces=backend audience=vault token_policies=app1-back token_no_default_policy=true token_ttl=3600s',
    ),
  );
});

const pods = { kubectl: 'kubectl --context c', selector: 'app=vault', forward: 'kubectl port-forward &' };

test('in pods, Vault is initialised in the first, and each is unsealed', () => {
  const commands = initCommands({ ...input, state, pods }).map((line) =>
    line.replace(/node -e '[^']*'/g, 'node'),
  );
  assert.equal(commands.slice(0, 4), [
    '(umask 077; mkdir -p .state/development/vault; kubectl --context c -n vault exec vault-0 -- vault operator init -key-shares=1 -key-threshold=1 -format=json > .state/development/vault/keys.json)',
    'for pod in $(kubectl --context c -n vault get pods --selector app=vault --output name | sort); do until node .state/development/vault/keys.json | kubectl --context c -n vault exec -i "$pod" -- vault write sys/unseal key=-; do sleep 1; done; done',
    'kubectl port-forward &',
    'export VAULT_ADDR=http://127.0.0.1:8200',
  ]);
  assert.equal(
    unsealCommands({ ...input, pods }).map((line) => line.replace(/node -e '[^']*'/g, 'node')),
    commands.slice(1, 2),
  );
});

const state: DesiredState = {
  operator: { policy: { name: 'operations', files: ['o.hcl'], text: '' }, period: 60 },
  ...{ audit: [], policies: [] },
  mounts: [
    {
      ...{ path: 'kv', type: 'kv', version: 2, description: 'd', maxTtl: 60 },
      ...{ keys: [], connections: [], logins: [] },
    },
  ],
  auth: [{ path: 'kubernetes', type: 'kubernetes' as const, description: 'd', maxTtl: 60, roles: [] }],
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

test('for a Vault beside the cluster, the certificate comes from a file and the token by stdin', () => {
  const kubernetes = {
    host: 'https://127.0.0.1:6443',
    caCertificateFile: 'ca.crt',
    reviewerTokenCommand: 'kubectl create token reviewer',
  };
  assert.is(
    initCommands({ ...input, state, kubernetes }).at(-1),
    'kubectl create token reviewer | vault write auth/kubernetes/config kubernetes_host=https://127.0.0.1:6443 kubernetes_ca_cert=@ca.crt disable_local_ca_jwt=true token_reviewer_jwt=-',
  );
});

test('a second secret of a path comes by a file descriptor, never as an argument', () => {
  assert.ok(
    initCommands({ ...input, state }).includes(
      'sops decrypt --extract \'["a"]\' environments/development/secrets/f.yaml | vault kv put -mount=kv app A=- B=@<(sops decrypt --extract \'["b"]\' environments/development/secrets/f.yaml)',
    ),
  );
});

test('the longest lease is part of enabling', () => {
  const commands = initCommands({ ...input, state });
  assert.ok(
    commands.includes('vault secrets enable -path=kv -version=2 -description=d -max-lease-ttl=60s kv'),
  );
  assert.ok(
    commands.includes('vault auth enable -path=kubernetes -description=d -max-lease-ttl=60s kubernetes'),
  );
});

test('a missing setting is named', async () => {
  const loaded = await loadDesiredState(folder);
  const failure = await failureOf((async () => initCommands({ ...input, state: loaded, settings: {} }))());
  assert.match(failure.what, '`vault.auditLog`');
});

test.run();
