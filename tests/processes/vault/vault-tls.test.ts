import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { makeCertificate, type TestCertificate } from '../../rig/certificate.ts';
import { portOf } from '../../rig/loopback.ts';
import { fails } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

type State = { folder: string; own: TestCertificate; other: TestCertificate };

const test = suite<State>('vault-tls');

test.before(async (state) => {
  state.folder = await mkdtemp(join(tmpdir(), 'vault-tls-'));
  const named = (name: string) => makeCertificate(state.folder, name, ['DNS:vault.vault.svc']);
  [state.own, state.other] = await Promise.all([named('own'), named('other')]);
});
test.after(({ folder }) => rm(folder, { recursive: true }));

/** A Vault with this certificate, and the number of its connections. */
async function served({ certificate, key }: TestCertificate) {
  let connections = 0;
  const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (_, response) =>
    response.end('{"data":{"a":1}}'),
  );
  server.on('connection', () => {
    connections += 1;
  });
  return { address: `https://127.0.0.1:${await portOf(server)}`, connections: () => connections };
}

test('a client requires the authority and the name, and keeps one connection, also for another token', async ({
  own,
}) => {
  const { address, connections } = await served(own);
  const identity = { authority: own.authority, name: 'vault.vault.svc' };
  const client = vaultClient({ address, identity });
  assert.equal(await client.read('x'), { a: 1 });
  assert.equal(await client.withToken('t').read('x'), { a: 1 });
  assert.is(connections(), 1);
});

test('another authority, another name, and a server without TLS are refused', async ({ own, other }) => {
  const { address } = await served(own);
  const plain = (await scriptedVault(() => undefined)).address.replace('http:', 'https:');
  for (const [at, authority, name, why] of [
    [address, other.authority, 'vault.vault.svc', /self-signed|unable to verify/],
    [address, own.authority, 'other.vault.svc', /Hostname\/IP does not match/],
    [plain, own.authority, 'vault.vault.svc', /wrong version number|packet length too long/],
  ] as const) {
    const what = `Vault at ${at} cannot be verified by its certificate`;
    const reading = vaultClient({ address: at, identity: { authority, name } }).read('x');
    await fails(reading, { what, why, advice: /create-environment/ });
  }
});

test.run();
