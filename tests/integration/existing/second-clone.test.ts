import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureCertificate } from '../../../lib/certificates/certificates.ts';
import { certificateFiles } from '../../../lib/certificates/files.ts';
import { shareAuthority, shareAuthorityCommands } from '../../../lib/certificates/shared-authority.ts';
import { root } from '../../../lib/ground/project.ts';
import { importKeys } from '../../../lib/secrets/keyring.ts';
import { readKeys, replaceKeys, reserveKeysFile } from '../../../lib/vault/api/keys-file.ts';
import { keysPlace } from '../../../lib/vault/keys-place.ts';
import { copyOf, type ProjectCopy } from '../../rig/project-copy.ts';
import type { CloneContext } from '../../rig/scripted-folder.ts';
import { fails, settledContext } from '../../rig/task-context.ts';
import { startApiServer } from '../api-server.ts';

/* Several clones of an environment on one cluster: a real API server, sops and gpg. */

type Clone = ProjectCopy & { readonly context: CloneContext };

const test = suite('second clone');
const api = await startApiServer();
test.after(() => api.stop());

const file = 'environments/development/secrets/authority.yaml';
const request = { name: 'postgresql', hosts: ['postgresql.database.svc'] };

const clones: Clone[] = [];
const readText = (...path: string[]): string => readFileSync(join(...path), 'utf8');

async function clone(options = {}): Promise<Clone> {
  const copy = copyOf('environments', 'sops', '.sops.yaml', 'lib/certificates/certificates.cnf');
  const context = await settledContext({ provider: 'existing', context: 'test', ...options }, copy.folder);
  mkdirSync(context.environment.state, { recursive: true });
  writeFileSync(context.environment.kubeconfig, readFileSync(api.kubeconfig));
  await importKeys(context);
  const made = { ...copy, context };
  clones.push(made);
  return made;
}

const commit = (from: Clone, to: Clone, name = file): void =>
  writeFileSync(join(to.folder, name), readFileSync(join(from.folder, name)));

/** Puts the server's certificate into the cluster, as its chart does. */
async function deploy({ context }: Clone): Promise<void> {
  const { certificate, key, authority } = certificateFiles(context.environment, request.name);
  const [crt, pem, ca] = [certificate, key, authority].map((path) => readFileSync(path, 'base64'));
  const secret = {
    ...{ apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls' },
    metadata: {
      ...{ name: 'postgresql-tls', namespace: 'default' },
      labels: { 'app.kubernetes.io/part-of': 'k8s-deployment' },
    },
    data: { 'tls.crt': crt, 'tls.key': pem, 'ca.crt': ca },
  };
  await api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(secret));
}

const filesIn = ({ context }: Clone): string[] =>
  Object.values(certificateFiles(context.environment, request.name)).map((path) => readText(path));

test.after.each(async () => {
  await api.kubectl(['delete', 'secrets', '--all', '-n', 'default']);
  for (const { context } of clones.splice(0)) await context.end('success' as never);
});

test('a clone with the encrypted authority deploys the certificates that the cluster has', async () => {
  const first = await clone();
  assert.is(await shareAuthority(first.context), 'changed');
  assert.match(first.context.logged.join('\n'), `${file}, encrypted: commit it`);
  assert.not.match(readText(first.folder, file), /BEGIN (?!PGP)/);
  await ensureCertificate(first.context, request);
  await deploy(first);
  assert.is(await shareAuthority(first.context), 'unchanged');

  const second = await clone();
  commit(first, second);
  assert.is(await shareAuthority(second.context), 'unchanged');
  assert.is((await ensureCertificate(second.context, request)).outcome, 'unchanged');
  assert.equal(filesIn(second), filesIn(first));
});

test('a clone without it is refused before anything is changed, unless it may replace the authority', async () => {
  const first = await clone();
  await shareAuthority(first.context);
  await ensureCertificate(first.context, request);
  await deploy(first);

  const second = await clone();
  await fails(shareAuthority(second.context), {
    what: 'the cluster has the certificates of an authority whose key is not here: default/postgresql-tls',
    advice: /git pull.*create-environment --replace-authority/,
  });
  assert.not.ok(existsSync(join(second.folder, file)));
  assert.not.ok(existsSync(join(second.context.environment.state, 'certificates')));

  const replacing = { ...second.context, options: { ...second.context.options, replaceAuthority: true } };
  assert.is(await shareAuthority(replacing), 'changed');
  await ensureCertificate(replacing, request);
  // The cluster still has the old one, as after a failed install: the option keeps the new authority.
  const [, , authority] = filesIn(second);
  await shareAuthority(replacing);
  assert.is(filesIn(second)[2], authority);
  await deploy(second);
  assert.is(await shareAuthority(second.context), 'unchanged');

  await fails(shareAuthority(first.context), {
    what: 'the cluster has certificates of another authority: default/postgresql-tls',
    why: new RegExp(`${file} has not signed them`),
  });
  commit(second, first);
  assert.is(await shareAuthority(first.context), 'unchanged');
  assert.equal(filesIn(first), filesIn(second));
});

test('an authority that expires soon is only replaced when asked to', async () => {
  const { context } = await clone();
  await shareAuthority(context);
  const late = new Date(Date.now() + 3600 * 24 * 3600 * 1000);
  const what = /has to be replaced: the authority is valid from .* to/;
  await fails(shareAuthority(context, {}, late), { what });
  const replacing = { ...context, options: { ...context.options, replaceAuthority: true } };
  assert.is(await shareAuthority(replacing, {}, late), 'changed');
});

test('the file of another environment is refused', async () => {
  const first = await clone();
  await shareAuthority(first.context);
  const other = await clone({ env: 'lab' });
  const copied = file.replace('development', 'lab');
  writeFileSync(join(other.folder, copied), readFileSync(join(first.folder, file)));
  const what = `${copied} belongs to environment \`development\``;
  await fails(shareAuthority(other.context), { what });
});

test('the plain commands create and take over the same', async () => {
  const first = await clone();
  const run = (of: Clone) => {
    const { environment } = of.context;
    const env = { ...process.env, GNUPGHOME: environment.gnupgHome };
    const commands = shareAuthorityCommands({ environment }).slice(1);
    execFileSync('bash', ['-euc', commands.join('\n')], { cwd: of.folder, env, stdio: 'pipe' });
  };
  run(first);
  assert.is(await shareAuthority(first.context), 'unchanged');
  const second = await clone();
  commit(first, second);
  run(second);
  const authority = (of: Clone) => readText(certificateFiles(of.context.environment, 'x').authority);
  assert.is(authority(second), authority(first));
  assert.ok(new X509Certificate(authority(first)).ca);
  rmSync(join(second.folder, file));
});

const keysFile = 'environments/development/secrets/vault-keys.yaml';
const keys = { unseal_keys_b64: ['dW5zZWFs'], admin_token: 'hvs.admin' };

test('Vault’s keys are encrypted for every clone, and on no disk in plain text', async () => {
  const first = await clone();
  const place = keysPlace(first.context);
  const store = await reserveKeysFile(place);
  await store(keys);
  assert.equal(readdirSync(join(first.context.environment.state, 'vault')), []);
  assert.not.match(readText(first.folder, keysFile), keys.admin_token);
  const second = await clone();
  assert.is(await readKeys(keysPlace(second.context)), undefined);
  commit(first, second, keysFile);
  assert.equal(await readKeys(keysPlace(second.context)), keys);
  assert.ok(second.context.secrets.includes(keys.admin_token));
  const helper = ['-c', 'KEYS="$1" sh vault/token-helper.sh get', 'sh', join(second.folder, keysFile)];
  const env = { ...process.env, GNUPGHOME: second.context.environment.gnupgHome };
  assert.is(execFileSync('sh', helper, { cwd: root, env, encoding: 'utf8' }), keys.admin_token);
  await replaceKeys(keysPlace(second.context), { ...keys, admin_token: 'hvs.other' });
  commit(second, first, keysFile);
  assert.is((await readKeys(place))?.admin_token, 'hvs.other');
});

test('keys that a killed run left on one machine are encrypted by the next', async () => {
  const { context } = await clone();
  const local = join(context.environment.state, 'vault', 'keys.json');
  mkdirSync(dirname(local), { recursive: true });
  writeFileSync(`${local}.pending`, JSON.stringify(keys).padEnd(4096));
  assert.equal(await readKeys(keysPlace(context)), keys);
  assert.equal(readdirSync(dirname(local)), []);
});

test.run();
