import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageRow } from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import { certificateProblem } from '../../../lib/certificates/certificates.ts';
import { readServices } from '../../../lib/cluster/embedded/services.ts';
import { ensureState, readState } from '../../../lib/cluster/embedded/state.ts';
import { destroyEnvironment, removeScratch, requireUnused } from '../../../lib/operations/destroy.ts';
import { readStatus } from '../../../lib/operations/status.ts';
import { formatStatus, watchStatus } from '../../../lib/operations/status-text.ts';
import { installedPassword, readRotation } from '../../../lib/rotation/passwords.ts';
import { rotatePasswords } from '../../../lib/rotation/rotate.ts';
import { secretNames } from '../../../lib/secrets/encrypted-file.ts';
import { remember, remembered, writeWhole } from '../../../lib/settings/environment.ts';
import { checkEnvironment } from '../../../lib/settings/provider-choice.ts';
import { vaultIdentity } from '../../../lib/vault/api/certificate.ts';
import { isInitialised, readVaultStatus } from '../../../lib/vault/health.ts';
import { makeAuthority } from '../../rig/certificate.ts';
import { context, forwarding, listing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A file that cannot be read is not absent, and a program that failed has said nothing. Then scratch environments. */

const files = ['environments', 'vault', 'helmfile.yaml'];
const { test, project } = scriptedSuite('failed tools', 'existing', ...files);

// The first one: a tool that was found once is not looked for again.
test('without its tool, a created environment is not reported as absent', async () => {
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    assert.is((await readStatus(context)).cluster.state, 'absent');
    await remember(context.environment);
    const what = 'the state of environment `development` is not known';
    await fails(readStatus(context), { exitCode: 127, what });
  } finally {
    process.env.PATH = PATH;
  }
});

const refusal = 'echo "Error from server (Forbidden): no" >&2; exit 1';

test('an unreadable state file is an error without conclusions', async () => {
  const { environment } = context;
  const request = { name: 'app1-front', hosts: ['localhost'] };
  for (const [path, read] of Object.entries({
    '.state/development/environment.json': () => remembered(environment),
    '.state/development/embedded.json': () => readState(environment),
    '.state/development/database-rotation.json': () => readRotation(environment),
    '.state/development/certificates/ca.key': () => certificateProblem(environment, request),
    '.state/development/services': () => readServices(environment.state),
    'environments/development/secrets': () => secretNames(environment),
    '.state': () => checkEnvironment('unknown', 'folder', project.folder),
  })) {
    const place = join(project.folder, path);
    rmSync(place, { recursive: true, force: true });
    // Root reads everything but a folder as a file, and a file as a folder.
    if (/\.(?:json|key)$/.test(path)) mkdirSync(place, { recursive: true });
    else writeFileSync(place, '');
    await fails(read(), { what: /^cannot read /, advice: /^move it away/ });
    rmSync(place, { recursive: true });
    // What is missing, however, is absent.
    if (/(?:services|secrets)$/.test(path)) assert.equal(await read(), []);
  }
});

test('a damaged ownership record is reported, and our objects are neither forgotten nor removed', async () => {
  for (const text of ['', '{"app2":', 'null', '3']) {
    writeFileSync(join(context.environment.state, 'database-rotation.json'), text);
    const what = /database-rotation\.json is damaged$/;
    await fails(readRotation(context.environment), { what, advice: /keep a copy/ });
  }
});

test('an unreadable password is not reported as not installed', async () => {
  project.script('kubectl', refusal);
  await fails(installedPassword(context), { why: /Forbidden/ });
  for (const [password, ...items] of [[undefined], ['hunter', { data: { password: 'aHVudGVy' } }]] as const) {
    project.script('kubectl', listing(...items));
    assert.is(await installedPassword(context), password);
  }
});

test('a Vault that does not answer is not reported as not set up', async () => {
  project.script('kubectl', listing());
  assert.is(await isInitialised(context), false, 'there is none');
  const set = { kind: 'StatefulSet', metadata: { name: 'vault' }, spec: { replicas: 1 } };
  project.script('kubectl', listing(set));
  await fails(isInitialised(context), { what: 'no pod of Vault is running' });
  project.script('kubectl', 'kill -9 $$');
  await fails(isInitialised(context), { what: /was ended by SIGKILL/ });
});

test('a machine without the shared authority is shown where it is', async () => {
  await fails(vaultIdentity(context), {
    what: 'cannot read the authority of the certificate of vault',
    advice: /^get environments\/development\/secrets\/authority\.yaml .*\(git pull\)/,
  });
});

test('without valid keys, it is unknown whether Vault is configured', async () => {
  const context = await project.context('minikube');
  const { environment } = context;
  const vault = await scriptedVault(
    ({ path }) =>
      path === 'sys/seal-status'
        ? { body: { initialized: true, sealed: false } }
        : { status: 403, body: { errors: ['permission denied'] } },
    await makeAuthority(environment),
  );
  const owner = { ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] };
  const pod = { kind: 'Pod', metadata: { name: 'vault-0', ...owner }, status: { phase: 'Running' } };
  project.script('kubectl', {
    'port-forward': forwarding(new URL(vault.address).port),
    '': listing(pod),
  });
  const path = join(environment.state, 'vault', 'keys.json');
  for (const [text, configured, reason] of [
    [undefined, null, /its keys are not in .*keys\.json/],
    ['{"admin_token":"wrong"}', null, /permission denied/],
    // Killed before init-vault had its own token.
    ['{"unseal_keys_b64":["a2V5"],"root_token":"hvs.root"}', false, /^$/],
    ['', null, /keys\.json are damaged/],
  ] as const) {
    if (text !== undefined) await writeWhole(path, text);
    context.logged.length = 0;
    const status = await readVaultStatus(context);
    assert.equal(status, { initialized: true, sealed: false, configured }, text);
    const about = context.logged.filter((line) => !line.startsWith('left out'));
    assert.match(about.join('\n'), reason);
  }
  // They are found before a password is changed.
  await fails(rotatePasswords(context, 'all'), { what: /keys\.json are damaged$/ });
  assert.equal(await readRotation(environment), {});
});

test('status waits for no answer longer than 20 s, and 5 s if the cluster is degraded', async () => {
  await remember(context.environment);
  const limits: unknown[] = [];
  const $ = ((options: { timeoutMs?: number }) => {
    limits.push(options.timeoutMs);
    return context.$(options);
  }) as typeof context.$;
  for (const [readyz, seconds] of Object.entries({ 'echo ok': 20, 'exit 1': 5 })) {
    context.logged.length = 0;
    // As a command that ran into its limit ends.
    project.script('kubectl', { readyz, '': 'exit 124' });
    await readStatus({ ...context, $ });
    assert.equal(limits.splice(0), [20_000, seconds * 1000]);
    assert.equal(context.logged, [
      `not known: the version, the nodes, the releases, the certificates, the pods (kubectl gave no answer within ${seconds} s)`,
    ]);
  }
});

test('status reports what it could not read, besides its fixed output', async () => {
  await remember(context.environment);
  project.script('kubectl', {
    readyz: 'echo ok',
    'get nodes': listing({ metadata: { name: 'new' } }),
    '': refusal,
  });
  const status = await readStatus(context);
  assert.is(status.cluster.state, 'running');
  assert.equal(status.cluster.nodes, [{ name: 'new', ready: false }], 'a node without a status yet');
  assert.equal([status.releases, status.notInstalled], [[], []]);
  assert.equal(context.logged, [
    'not known: the version, the releases, the certificates, the pods (Error from server (Forbidden): no)',
  ]);
});

test('with damaged settings, status shows the rest, and names the place', async () => {
  const { settings: _, ...early } = context;
  const { environment } = context;
  await remember(environment);
  project.script('kubectl', { readyz: 'echo ok', '': listing() });
  writeFileSync(join(environment.root, 'environments/development/settings.yaml'), 'nodes: 3\n');
  const text = await formatStatus(await readStatus(early), early);
  assert.match(text, /^cluster +running/m);
  assert.match(text, /^address +not known, since the settings cannot be read$/m);
  const place = /\(environments\/development\/settings\.yaml:1 has an unknown setting `nodes`: /;
  assert.is(context.logged.length, 1);
  assert.match(context.logged[0] ?? '', place);
});

test('a page of `status --watch` is shown until its reader has gone, also while the cluster is lost', async () => {
  const { environment } = context;
  const record = join(environment.state, 'environment.json');
  await remember(environment);
  for (const [minutes, name] of [
    [3, 'app1-back'],
    [5000, 'old'],
  ] as const) {
    const time = new Date(Date.now() - minutes * 60_000).toISOString().replace(/[:.]/g, '-');
    await writeWhole(join(environment.state, 'diagnostics', `${time}-${name}.txt`), '');
  }
  const node = (name: string, status: string) => ({
    ...{ metadata: { name }, status: { conditions: [{ type: 'Ready', status }] } },
  });
  const answering = {
    readyz: 'echo ok',
    'get nodes': listing(node('one', 'True'), node('two', 'False')),
    'get pods': listing({ metadata: { namespace: 'backend', name: 'app1-x' }, status: { phase: 'Pending' } }),
    '': listing(),
  };
  const lost = 'echo "The connection to the server was refused" >&2; exit 1';
  const pages: string[] = [];
  project.script('kubectl', answering);
  const page = (rows: readonly PageRow[]) => {
    pages.push(rows.map(({ name, text }) => `${name} ${text}\n`).join(''));
    project.script('kubectl', pages.length === 1 ? lost : answering);
    // A record that cannot be read, as during a crash.
    if (pages.length === 3) writeFileSync(record, '{');
    if (pages.length === 4) process.stdout.emit('error', new Error('EPIPE'));
  };
  await watchStatus({ ...context, page }, 1);
  assert.is(pages.length, 4);
  const [first, second = '', third, fourth = ''] = pages;
  for (const shown of [first, third])
    for (const row of [
      /^cluster running.*, 1 of 2 nodes ready$/m,
      /^node two: not ready$/m,
      /^release not installed: devops, .*app2-front$/m,
      /^pod backend\/app1-x: it is Pending$/m,
      /^failure app1-back, 3m[^,]* ago[^,]*\n(?!failure)/m,
    ])
      assert.match(shown ?? '', row);
  assert.match(second, /connection to the server was refused|cluster (degraded|absent|stopped)/);
  assert.match(fourth, /^error .*environment\.json, the record of the environment, is damaged/);
  assert.equal(context.logged, []);
});

test('a removal without a cluster says which files it removed', async () => {
  const embedded = await project.context('embedded');
  await writeWhole(join(embedded.environment.state, 'gnupg', 'key'), '');
  await destroyEnvironment(embedded);
  mkdirSync(join(embedded.environment.state, 'tmp'), { recursive: true });
  await destroyEnvironment(embedded);
  const none = 'nothing of this environment is in a cluster';
  assert.equal(embedded.logged, [`${none}: removed its files: gnupg`, `${none}: nothing to do`]);
});

test('an environment with a cluster is refused as a scratch one', async () => {
  const embedded = await project.context('embedded');
  await requireUnused(embedded);
  await ensureState(embedded);
  const what = 'environment `development` exists already: its cluster is creating';
  await fails(requireUnused(embedded), { exitCode: 2, what });
});

test('a scratch one is removed whole, after its logs and status were kept; also when these cannot be kept', async () => {
  const embedded = await project.context('embedded');
  const { state } = embedded.environment;
  const kept = join(project.folder, 'kept');
  await writeWhole(join(state, 'logs', 'vault.log'), 'sealed\n');
  await removeScratch(embedded, kept);
  assert.is(readFileSync(join(kept, 'logs', 'vault.log'), 'utf8'), 'sealed\n');
  assert.match(readFileSync(join(kept, 'status.txt'), 'utf8'), /development/);
  assert.not.ok(existsSync(state));
  mkdirSync(state);
  const error: unknown = await failureOf(removeScratch(embedded, join(project.folder, 'helmfile.yaml')));
  assert.is((error as NodeJS.ErrnoException).code, 'EEXIST');
  assert.not.ok(existsSync(state));
});

test.run();
