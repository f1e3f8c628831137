import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import * as assert from 'uvu/assert';
import { writeWhole } from '../../../lib/settings/environment.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { snapshotAccessCommands, unsealVaultCommands } from '../../../lib/vault/dry-run.ts';
import { unseal } from '../../../lib/vault/init-vault.ts';
import { keysPlace } from '../../../lib/vault/keys-place.ts';
import { withVaultReplicas } from '../../../lib/vault/replicas.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from '../../rig/certificate.ts';
import { serveTls } from '../../rig/loopback.ts';
import { bash } from '../../rig/programs.ts';
import { context, forwarding, listing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

const { test, project } = scriptedSuite('servers of Vault', 'minikube', 'environments');
let certificate: TestCertificate;

test.before.each(async () => {
  certificate = await makeAuthority(context.environment);
});

/** A cluster with these pods by phase; each is reached at its own port, or all at one address. */
function cluster(pods: Record<string, string>, address?: string, replicas = 1): void {
  const items = Object.entries(pods).map(([name, phase]): object => {
    const kind = /^vault-\d+$/.test(name) ? 'StatefulSet' : 'ReplicaSet';
    const deleted = phase === 'deleted' && { deletionTimestamp: '2026-01-01T00:00:00Z' };
    const metadata = { name, ownerReferences: [{ kind, name: 'vault' }], ...deleted };
    return { kind: 'Pod', metadata, status: { phase: deleted ? 'Running' : phase } };
  });
  if (items.length > 0) items.push({ kind: 'StatefulSet', metadata: { name: 'vault' }, spec: { replicas } });
  project.script('kubectl', {
    'port-forward pod/vault-10 ': forwarding(20010),
    'port-forward': forwarding(address === undefined ? 2000 : new URL(address).port),
    '': listing(...items),
  });
}

const use = async () => undefined;

test('every running pod is reached by ordinal, with TLS, and the others are logged', async () => {
  const pods = { 'vault-10': 'Running', 'vault-2': 'deleted', 'vault-1': 'Pending', 'vault-0': 'Running' };
  cluster({ ...pods, 'vault-agent-injector-5f': 'Running' }, undefined, 4);
  const [found, absent] = await withVaultReplicas(context, 0, {}, async (...found) => found);
  assert.equal(absent, ['vault-1', 'vault-2', 'vault-3']);
  const reached = found.map(({ name, client }) => `${name} ${client.address}`);
  assert.equal(reached, ['vault-0 https://127.0.0.1:2000', 'vault-10 https://127.0.0.1:20010']);
  assert.ok(context.logged.includes('skipped, since they do not run: vault-1, vault-2, vault-3'));
  const [list = '', ...forwards] = project.calls();
  assert.ok(list.endsWith('get statefulsets,pods --selector app.kubernetes.io/instance=vault -o json'), list);
  const pod = (call: string) => /port-forward (\S+) :8200/.exec(call)?.[1];
  assert.equal(forwards.map(pod), ['pod/vault-0', 'pod/vault-10']);
});

test('a pod is not reached without the authority; without a running one, the error names the others', async () => {
  cluster({ 'vault-0': 'Pending' });
  const none = { what: 'no pod of Vault is running', why: 'vault-0 cannot be reached' };
  await fails(withVaultReplicas(context, 0, {}, use), none);
  rmSync(certificate.certificate);
  cluster({ 'vault-10': 'Running' });
  const what = 'cannot read the authority of the certificate of vault';
  await fails(withVaultReplicas(context, 0, {}, use), { what });
});

test('replicas whose pods do not run yet, or do not even exist, are waited for', async () => {
  const body = { initialized: true, sealed: true };
  const { address, requests } = await scriptedVault(() => ({ body }), certificate);
  cluster({ 'vault-0': 'Running' }, address, 2);
  const found = withVaultReplicas(context, 30_000, {}, async (replicas) => replicas);
  while (project.calls().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  cluster({ 'vault-0': 'Running', 'vault-1': 'Running' }, address, 2);
  assert.is((await found)[1]?.name, 'vault-1');
  assert.ok(requests().includes('GET sys/seal-status'));
});

async function unsealed(body: { initialized: boolean; sealed: boolean }) {
  cluster({ 'vault-0': 'Running' }, (await scriptedVault(() => ({ body }), certificate)).address);
  return unseal(context);
}

test('a sealed Vault without keys is a failure that says what can be done', async () => {
  const what = /^Vault at .* is initialised, but its keys are not in .*keys\.json$/;
  await fails(unsealed({ initialized: true, sealed: true }), {
    what,
    advice: /restore the file from a copy/,
  });
});

test('a new, unsealed or missing Vault is left alone; keys of a missing one cause no wait', async () => {
  for (const vault of [
    { initialized: false, sealed: true },
    { initialized: true, sealed: false },
  ])
    assert.is(await unsealed(vault), 'unchanged');
  cluster({});
  assert.is(await unseal(context), 'unchanged');
  const place = keysPlace(context);
  await writeWhole(place.path, '');
  await replaceKeys(place, { unseal_keys_b64: ['a'], root_token: 'b' });
  assert.is(await unseal(context), 'unchanged');
});

test('a Vault beside the cluster that has ended is an error within seconds', async () => {
  const embedded = await project.context('embedded');
  const before = Date.now();
  const what = /^Vault at https:\/\/127\.0\.0\.1:\d+ cannot be reached$/;
  await fails(unseal(embedded), { what, why: /ECONNREFUSED/ });
  assert.ok(Date.now() - before < 30_000);
});

/** A Vault with the certificate of the test, its connections, and a client that trusts an authority. */
async function served(authority = certificate.authority, name = 'vault.vault.svc') {
  const connections = new Set<object>();
  const port = await serveTls(certificate, ({ socket }, response) => {
    connections.add(socket);
    response.end('{"data":{"a":1}}');
  });
  const [address, identity] = [`https://127.0.0.1:${port}`, { authority, name }];
  return { connections, client: vaultClient({ address, identity }), address, identity };
}

test('a client requires the authority and the name, and keeps one connection, also for another token', async () => {
  const { client, connections } = await served();
  assert.equal(await client.read('x'), { a: 1 });
  assert.equal(await client.withToken('t').read('x'), { a: 1 });
  assert.is(connections.size, 1);
});

test('another authority, another name, and a server without TLS are refused', async () => {
  const other = await makeCertificate(dirname(certificate.key), 'other', ['DNS:vault.vault.svc']);
  const address = (await scriptedVault(() => undefined)).address.replace('http:', 'https:');
  const plain = { address, client: vaultClient({ address, identity: (await served()).identity }) };
  for (const [{ address, client }, why] of [
    [await served(other.authority), /self-signed|unable to verify/],
    [await served(undefined, 'other.vault.svc'), /Hostname\/IP does not match/],
    [plain, /wrong version number|packet length too long/],
  ] as const) {
    const what = `Vault at ${address} cannot be verified by its certificate`;
    await fails(client.read('x'), { what, why, advice: /create-environment/ });
  }
});

test('pasted commands that wait for Vault show why, and end after a while', async () => {
  const why = 'ca.crt: no such file';
  for (const tool of ['vault', 'kubectl']) project.script(tool, `echo '${why}' >&2; exit 1`);
  project.script('seq', 'echo 1 2');
  const [wait = ''] = (await snapshotAccessCommands(context)).slice(-1);
  const [unsealing = ''] = await unsealVaultCommands(context);
  const place = { folder: project.folder, env: process.env };
  for (const command of [wait, unsealing.replace(/in \$\(.*? sort\)/, 'in vault-0')]) {
    const { exitCode, stderr } = await bash(command, place);
    assert.is(exitCode, 0);
    assert.match(stderr, why);
  }
});

test.run();
