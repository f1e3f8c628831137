import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { certificateProblem } from '../../../lib/certificates/certificates.ts';
import { readServices } from '../../../lib/cluster/embedded/services.ts';
import { readState } from '../../../lib/cluster/embedded/state.ts';
import { readStatus } from '../../../lib/operations/status.ts';
import { formatStatus } from '../../../lib/operations/status-text.ts';
import { rotatePasswords } from '../../../lib/rotation/rotate.ts';
import { readRotation } from '../../../lib/rotation/rotation-state.ts';
import { installedPassword } from '../../../lib/rotation/server.ts';
import { secretNames } from '../../../lib/secrets/encrypted-file.ts';
import { remember, remembered } from '../../../lib/settings/environment.ts';
import { checkEnvironment } from '../../../lib/settings/settings.ts';
import { isInitialised, readVaultStatus } from '../../../lib/vault/health.ts';
import { makeAuthority } from '../../rig/certificate.ts';
import { context, forwarding, listing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A file that cannot be read is not absent, and a program that failed has said nothing. */

const files = ['environments', 'vault', 'helmfile.yaml'];
const { test, project } = scriptedSuite('failed tools', 'existing', ...files);

// The first one: a tool that was found once is not looked for again.
test('without its tool, a created environment is not reported as absent', async () => {
  const { environment } = context;
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    assert.is((await readStatus(context)).cluster.state, 'absent');
    await remember(environment);
    const what = 'the state of environment `development` is not known';
    await fails(readStatus(context), { exitCode: 127, what });
  } finally {
    process.env.PATH = PATH;
  }
});

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
    await fails(read(), { what: /^cannot read / });
    rmSync(place, { recursive: true });
    // What is missing, however, is absent.
    if (/(?:services|secrets)$/.test(path)) assert.equal(await read(), []);
  }
});

test('a damaged ownership record is reported, and our objects are neither forgotten nor removed', async () => {
  const { environment } = context;
  for (const text of ['', '{"app2":', 'null', '3']) {
    writeFileSync(join(environment.state, 'database-rotation.json'), text);
    const what = /database-rotation\.json is damaged$/;
    await fails(readRotation(environment), { what, advice: /keep a copy/ });
  }
});

test('an unreadable password is not reported as not installed', async () => {
  project.script('kubectl', 'echo "Error from server (Forbidden): no" >&2; exit 1');
  await fails(installedPassword(context), { why: /Forbidden/ });
  for (const [password, ...items] of [[undefined], ['hunter', { data: { password: 'aHVudGVy' } }]] as const) {
    project.script('kubectl', listing(...items));
    assert.is(await installedPassword(context), password);
  }
});

test('a Vault that does not answer is not reported as not set up', async () => {
  project.script('kubectl', listing());
  assert.is(await isInitialised(context), false, 'there is none');
  project.script(
    'kubectl',
    listing({ kind: 'StatefulSet', metadata: { name: 'vault' }, spec: { replicas: 1 } }),
  );
  await fails(isInitialised(context), { what: 'no pod of Vault is running' });
  project.script('kubectl', 'kill -9 $$');
  await fails(isInitialised(context), { what: /was ended by SIGKILL/ });
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
  mkdirSync(dirname(path), { recursive: true });
  for (const [text, configured, reason] of [
    [undefined, null, /its keys are not in .*keys\.json/],
    ['', null, /keys\.json are damaged/],
    ['{"admin_token":"wrong"}', null, /permission denied/],
    // Killed before init-vault had its own token.
    ['{"unseal_keys_b64":["a2V5"],"root_token":"hvs.root"}', false, /^$/],
  ] as const) {
    if (text !== undefined) writeFileSync(path, text);
    context.logged.length = 0;
    const status = await readVaultStatus(context);
    assert.equal(status, { initialized: true, sealed: false, configured }, text);
    const about = context.logged.filter((line) => !line.startsWith('left out'));
    assert.match(about.join('\n'), reason);
  }
});

test('damaged keys of Vault are found before a password is changed', async () => {
  const context = await project.context('minikube');
  const { environment } = context;
  const path = join(environment.state, 'vault', 'keys.json');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  await fails(rotatePasswords(context, 'all'), { what: /keys\.json are damaged$/ });
  assert.equal(await readRotation(environment), {});
});

test('status waits for no answer longer than 20 s, and 5 s if the cluster is degraded', async () => {
  const { environment } = context;
  await remember(environment);
  const limits: unknown[] = [];
  const $ = ((options: { timeoutMs?: number }) => {
    limits.push(options.timeoutMs);
    return context.$(options);
  }) as typeof context.$;
  for (const [readyz, seconds] of [
    ['echo ok', 20],
    ['exit 1', 5],
  ] as const) {
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
  const { environment } = context;
  await remember(environment);
  project.script('kubectl', {
    readyz: 'echo ok',
    'get nodes': listing({ metadata: { name: 'new' } }),
    '': 'echo "Error from server (Forbidden): no" >&2; exit 1',
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
  assert.match(await formatStatus(await readStatus(early), early), /^cluster +running/m);
  const place = /\(environments\/development\/settings\.yaml:1 has an unknown setting `nodes`: /;
  assert.is(context.logged.length, 2, 'of the queries, and of the addresses');
  for (const line of context.logged) assert.match(line, place);
});

test.run();
