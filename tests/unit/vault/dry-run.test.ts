import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { initCommands } from '../../../lib/vault/dry-run.ts';

/* What the project's own state, and with it the golden transcripts, do not have. */

const secrets = ['a', 'b'].map((key) => ({ name: key.toUpperCase(), from: { file: 'f.yaml', key } }));
const commands = initCommands({
  environment: 'development',
  address: 'https://127.0.0.1:8200',
  trust: { file: 'vault/ca.crt', serverName: 'vault.vault.svc', write: 'kubectl get > vault/ca.crt' },
  keysPath: '.state/development/vault/keys.json',
  databaseAuthorityFile: 'ca.crt',
  settings: {},
  kubernetes: { host: 'https://kubernetes.default.svc' },
  state: {
    operator: { policy: { name: 'operations', files: ['o.hcl'], text: '' }, period: 60 },
    ...{ audit: [], policies: [] },
    mounts: [
      {
        ...{ path: 'kv', type: 'kv', version: 2, description: 'd', maxTtl: 60 },
        ...{ keys: [], connections: [], logins: [] },
      },
    ],
    auth: [{ path: 'kubernetes', type: 'kubernetes', description: 'd', maxTtl: 60, roles: [] }],
    keyValues: [{ mount: 'kv', path: 'app', values: secrets }],
  },
});

test('a second secret of a path comes by a file descriptor, never as an argument', () => {
  const decrypt = (key: string) =>
    `sops decrypt --extract '["${key}"]' environments/development/secrets/f.yaml`;
  assert.ok(commands.includes(`${decrypt('a')} | vault kv put -mount=kv app A=- B=@<(${decrypt('b')})`));
});

test("another issuer's authority is read before Vault is called", () => {
  const read = commands.indexOf('kubectl get > vault/ca.crt');
  assert.ok(read >= 0 && read < commands.indexOf('export VAULT_CACERT="$PWD/vault/ca.crt"'));
});

test('the longest lease is part of enabling', () => {
  for (const command of [
    'vault secrets enable -path=kv -version=2 -description=d -max-lease-ttl=60s kv',
    'vault auth enable -path=kubernetes -description=d -max-lease-ttl=60s kubernetes',
  ])
    assert.ok(commands.includes(command), command);
});

test.run();
