import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/client.ts';
import { convergeVault, type VaultChange } from '../../../lib/vault/converge.ts';
import { vaultCommands } from '../../../lib/vault/dry-run.ts';
import { initialiseVault, unsealVault } from '../../../lib/vault/init.ts';
import { type DesiredState, loadDesiredState } from '../../../lib/vault/state.ts';
import { vaultStatus } from '../../../lib/vault/status.ts';
import { failureOf } from '../../unit/vault/scripted-vault.ts';
import { type RealVault, realVault } from './real-vault.ts';
import { serviceAccountToken, type TokenReview, tokenReview } from './token-review.ts';

const project = fileURLToPath(new URL('../../..', import.meta.url));
const settings = {
  database: { host: 'postgresql.database.svc.cluster.local', port: 5432, user: 'postgres' },
};
const reviewer = 'token-of-the-reviewer';
const operator = 'vault-operator-vault-secrets-operator-controller-manager';

type Context = { vault: RealVault; review: TokenReview; state: DesiredState };
const test = suite<Context>('vault, a real server');

// A test, not a hook: uvu says nothing of an error in `before`, and ends with 0.
test('a real Vault starts', async (context) => {
  context.state = await loadDesiredState(join(project, 'vault'));
  context.review = await tokenReview(reviewer);
  context.vault = await realVault();
  await context.vault.start();
});
test.after(async ({ vault, review }) => {
  await vault?.remove();
  await review?.close();
});

const anonymous = ({ vault }: Context) => vaultClient({ address: vault.address });

async function rootClient(context: Context) {
  const { token } = await initialiseVault({ client: anonymous(context), keysPath: context.vault.keysPath });
  return anonymous(context).withToken(token);
}

async function converge(context: Context, password = 'first-password'): Promise<VaultChange[]> {
  return convergeVault({
    client: await rootClient(context),
    state: context.state,
    kubernetes: {
      host: context.review.host,
      reviewer: { token: reviewer, recordPath: join(context.vault.folder, 'reviewer.json') },
    },
    sources: {
      settings,
      decrypt: async (file, key) => {
        assert.is(`${file} ${key}`, 'database.yaml password');
        return password;
      },
    },
  });
}

const changed = (changes: VaultChange[]) =>
  changes
    .filter(({ outcome }) => outcome === 'changed')
    .map(({ path, difference }) => `${path}: ${difference}`);

async function login(context: Context, role: string, token: string) {
  const body = (
    await anonymous(context).request('POST', 'auth/kubernetes/login', { body: { role, jwt: token } })
  ).body;
  const { auth } = body as { auth: { client_token: string } };
  return anonymous(context).withToken(auth.client_token);
}

test('a new Vault is initialised, unsealed, and its keys kept', async (context) => {
  const { vault, state } = context;
  const client = anonymous(context);
  assert.equal(await vaultStatus(client, state), { initialized: false, sealed: true, configured: false });
  const first = await initialiseVault({ client, keysPath: vault.keysPath });
  assert.equal([first.initialised, first.unsealed], [true, true]);
  assert.is((await stat(vault.keysPath)).mode & 0o777, 0o600);
  const second = await initialiseVault({ client, keysPath: vault.keysPath });
  assert.equal(second, { token: first.token, initialised: false, unsealed: false });
  assert.equal(await vaultStatus(client.withToken(first.token), state), {
    ...{ initialized: true, sealed: false, configured: false },
  });
});

test('the first run changes every object, the second none', async (context) => {
  const first = await converge(context);
  assert.ok(first.length >= 10);
  assert.equal(
    first.filter(({ difference }) => difference !== 'missing'),
    [],
  );
  assert.equal(changed(await converge(context)), []);
  const client = await rootClient(context);
  assert.equal(await vaultStatus(client, context.state), {
    initialized: true,
    sealed: false,
    configured: true,
  });
  const secret = (await client.read('kv/data/app1/database')) as {
    data: object;
    metadata: { version: number };
  };
  assert.equal(secret.data, {
    ...{
      DB_HOST: settings.database.host,
      DB_PORT: '5432',
      DB_USER: 'postgres',
      DB_PASSWORD: 'first-password',
    },
  });
  assert.is(secret.metadata.version, 1);
});

test('app1 logs in with its ServiceAccount and reads its own parameters only', async (context) => {
  const app = await login(context, 'app1-back', serviceAccountToken('backend', 'app1-back', 'vault'));
  assert.ok(await app.read('kv/data/app1/database'));
  for (const path of ['kv/data/app2/database', 'kv/metadata/app1/database', 'sys/mounts']) {
    assert.match((await failureOf(app.read(path))).why, 'permission denied');
  }
});

test('the operator logs in, encrypts and decrypts, and does nothing else', async (context) => {
  const client = await login(context, 'vso-transit', serviceAccountToken('vault', operator, 'vault'));
  const plaintext = Buffer.from('cached token').toString('base64');
  const { ciphertext } = await client.write('transit/encrypt/vso-client-cache', { plaintext });
  assert.is((await client.write('transit/decrypt/vso-client-cache', { ciphertext })).plaintext, plaintext);
  assert.match((await failureOf(client.read('transit/keys/vso-client-cache'))).why, 'permission denied');
  assert.match((await failureOf(client.read('kv/data/app1/database'))).why, 'permission denied');
});

test('another account, namespace or audience may not log in', async (context) => {
  for (const [namespace, name, audience] of [
    ['backend', 'app2-back', 'vault'],
    ['frontend', 'app1-back', 'vault'],
    ['backend', 'app1-back', 'kubernetes'],
  ] as const) {
    const failure = await failureOf(
      login(context, 'app1-back', serviceAccountToken(namespace, name, audience)),
    );
    assert.match(failure.what, 'Vault refused POST auth/kubernetes/login');
  }
});

test('a new password changes the secret only, as a new version', async (context) => {
  assert.equal(changed(await converge(context, 'second-password')), ['kv/app1/database: DB_PASSWORD']);
  const secret = (await (await rootClient(context)).read('kv/data/app1/database')) as {
    metadata: { version: number };
  };
  assert.is(secret.metadata.version, 2);
});

test('what was changed by hand is set right, and only that', async (context) => {
  const client = await rootClient(context);
  await client.write('sys/policies/acl/app1-back', { policy: 'path "kv/*" { capabilities = ["read"] }' });
  await client.write('auth/kubernetes/role/app1-back', {
    token_ttl: '2h',
    token_policies: ['app1-back', 'extra'],
  });
  await client.write('sys/mounts/kv/tune', { description: 'by hand' });
  await client.request('DELETE', 'kv/data/app1/database');
  await client.request('DELETE', 'auth/kubernetes/role/vso-transit');
  assert.equal(await vaultStatus(client, context.state), {
    initialized: true,
    sealed: false,
    configured: false,
  });
  assert.equal(changed(await converge(context, 'second-password')), [
    'app1-back: text',
    'kv/: description',
    'kv/app1/database: missing',
    'auth/kubernetes/role/app1-back: token_policies, token_ttl',
    'auth/kubernetes/role/vso-transit: missing',
  ]);
  assert.equal(changed(await converge(context, 'second-password')), []);
});

test('after a restart Vault is sealed, unsealVault opens it, and it is configured', async (context) => {
  const client = await rootClient(context);
  await context.vault.stop();
  assert.is(await vaultStatus(client, context.state), null);
  await context.vault.start();
  assert.equal(await vaultStatus(client, context.state), {
    initialized: true,
    sealed: true,
    configured: false,
  });
  assert.match((await failureOf(client.read('sys/mounts'))).what, 'is sealed');
  assert.is(await unsealVault({ client: anonymous(context), keysPath: context.vault.keysPath }), 'changed');
  assert.equal(changed(await converge(context, 'second-password')), []);
  assert.equal(await vaultStatus(client, context.state), {
    initialized: true,
    sealed: false,
    configured: true,
  });
});

test('lost and foreign keys are told apart, and the right ones still open it', async (context) => {
  const { keysPath } = context.vault;
  const client = await rootClient(context);
  await client.request('PUT', 'sys/seal');
  await rename(keysPath, `${keysPath}.safe`);
  const lost = await failureOf(initialiseVault({ client: anonymous(context), keysPath }));
  assert.match(lost.what, 'is initialised, but its keys are not in');
  const foreign = { unseal_keys_b64: [Buffer.alloc(32, 1).toString('base64')], root_token: 'hvs.foreign' };
  await writeFile(keysPath, JSON.stringify(foreign));
  const wrong = await failureOf(initialiseVault({ client: anonymous(context), keysPath }));
  assert.match(wrong.what, `stays sealed: the keys of ${keysPath} do not open it`);
  assert.match(wrong.why, 'message authentication failed');
  await rename(`${keysPath}.safe`, keysPath);
  assert.is(await unsealVault({ client: anonymous(context), keysPath }), 'changed');
});

test('the plain commands of the dry run lead to the same Vault', async (context) => {
  const byHand = await realVault();
  try {
    await byHand.start();
    const { folder, keysPath } = byHand;
    await mkdir(join(folder, 'keys'));
    // In place of sops with the project's key, which is not what is tested here.
    await writeFile(join(folder, 'sops'), '#!/bin/sh\nprintf %s first-password\n');
    await chmod(join(folder, 'sops'), 0o755);
    const commands = vaultCommands({
      state: context.state,
      environment: 'development',
      address: byHand.address,
      keysPath,
      settings,
      kubernetes: { host: context.review.host, reviewerTokenCommand: `printf %s ${reviewer}` },
    });
    await shell(commands.join('\n'), folder);
    assert.not.match(commands.join('\n'), 'first-password');
    assert.is((await stat(keysPath)).mode & 0o777, 0o600);
    // Only the memory of the reviewer's token is missing: nobody could have written it.
    assert.equal(changed(await converge({ ...context, vault: byHand })), [
      'auth/kubernetes/config: token_reviewer_jwt',
    ]);
    assert.not.match(await readFile(join(folder, 'reviewer.json'), 'utf8'), reviewer);
  } finally {
    await byHand.remove();
  }
});

async function shell(script: string, folder: string): Promise<void> {
  const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder };
  const child = spawn('sh', ['-eu', '-c', script], { cwd: project, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
  });
  assert.is(code, 0, output);
}

test.run();
