import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
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
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A file that cannot be read is not absent, and a program that failed has said nothing. */

const test = suite<{ context: CloneContext }>('failed tools');
const project = scriptedFolder('environments', 'vault', 'helmfile.yaml');

test.before.each(async (state) => {
  state.context = await project.context('existing');
  mkdirSync(state.context.environment.state, { recursive: true });
});
test.after.each(project.reset);
test.after(project.remove);

// The first one: a tool that was found once is not looked for again.
test('without its tool, a created environment is not reported as absent', async ({ context }) => {
  const { environment } = context;
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    assert.is((await readStatus(context)).cluster.state, 'absent');
    await remember(environment);
    const error = await failureOf(readStatus(context));
    assert.equal([error.exitCode, error.what], [127, 'the state of environment `development` is not known']);
  } finally {
    process.env.PATH = PATH;
  }
});

test('an unreadable state file is an error without conclusions', async ({ context }) => {
  const { environment } = context;
  const request = { name: 'app1-front', hosts: ['localhost'] };
  const readers: { readonly [path: string]: () => Promise<unknown> } = {
    'environment.json': () => remembered(environment),
    'embedded.json': () => readState(environment),
    'database-rotation.json': () => readRotation(environment),
    'certificates/ca.key': () => certificateProblem(environment, request),
  };
  for (const [path, read] of Object.entries(readers)) {
    // Root reads everything but a folder.
    mkdirSync(join(environment.state, path), { recursive: true });
    assert.match((await failureOf(read())).what, /^cannot read /, path);
    rmSync(join(environment.state, path), { recursive: true });
  }
  const folders: { readonly [path: string]: () => Promise<unknown> } = {
    '.state/development/services': () => readServices(environment.state),
    'environments/development/secrets': () => secretNames(environment),
    '.state': () => checkEnvironment('unknown', 'folder', project.folder),
  };
  for (const [path, read] of Object.entries(folders)) {
    const full = join(project.folder, path);
    rmSync(full, { recursive: true, force: true });
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, '');
    assert.match((await failureOf(read())).what, /^cannot read /, path);
    rmSync(full);
    // A missing file, however, means absent.
    if (path !== '.state') assert.equal(await read(), []);
  }
});

test('a damaged ownership record is reported, and our objects are neither forgotten nor removed', async ({
  context,
}) => {
  const { environment } = context;
  for (const text of ['', '{"app2":', 'null', '3']) {
    writeFileSync(join(environment.state, 'database-rotation.json'), text);
    const { what, advice = '' } = await failureOf(readRotation(environment));
    assert.match(what, /database-rotation\.json is damaged$/, text);
    assert.match(advice, /keep a copy/);
  }
});

test('an unreadable password is not reported as not installed', async ({ context }) => {
  project.script('kubectl', 'echo "Error from server (Forbidden): no" >&2; exit 1');
  assert.match((await failureOf(installedPassword(context))).why ?? '', 'Forbidden');
  project.script('kubectl', `echo '{"items":[]}'`);
  assert.is(await installedPassword(context), undefined);
  project.script('kubectl', `echo '{"items":[{"data":{"password":"aHVudGVy"}}]}'`);
  assert.is(await installedPassword(context), 'hunter');
});

test('a Vault that does not answer is not reported as not set up', async ({ context }) => {
  project.script('kubectl', `echo '{"items":[]}'`);
  assert.is(await isInitialised(context), false, 'there is none');
  const set = '{"kind":"StatefulSet","metadata":{"name":"vault"},"spec":{"replicas":1}}';
  project.script('kubectl', `echo '{"items":[${set}]}'`);
  assert.is((await failureOf(isInitialised(context))).what, 'no pod of Vault is running');
  project.script('kubectl', 'kill -9 $$');
  assert.match((await failureOf(isInitialised(context))).what, 'was ended by SIGKILL');
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
  project.script(
    'kubectl',
    `case "$*" in
      *port-forward*) echo "Forwarding from 127.0.0.1:${new URL(vault.address).port} -> 8200"; exec sleep 1000 ;;
      *) echo '${JSON.stringify({ items: [pod] })}' ;;
    esac`,
  );
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
  const error = await failureOf(rotatePasswords(context, 'all'));
  assert.match(error.what, /keys\.json are damaged$/);
  assert.equal(await readRotation(environment), {});
});

test('status waits for no answer longer than 20 s', async ({ context }) => {
  const { environment } = context;
  await remember(environment);
  // As a command that ran into its limit ends.
  project.script('kubectl', `case "$*" in *readyz*) echo ok;; *) exit 124;; esac`);
  const limits: unknown[] = [];
  const $ = ((options: { timeoutMs?: number }) => {
    limits.push(options.timeoutMs);
    return context.$(options);
  }) as typeof context.$;
  await readStatus({ ...context, $ });
  assert.equal(limits, [20_000]);
  assert.equal(context.logged, [
    'not known: the version, the nodes, the releases, the certificates, the pods (kubectl gave no answer within 20 s)',
  ]);
});

test('status reports what it could not read, besides its fixed output', async ({ context }) => {
  const { environment } = context;
  await remember(environment);
  const nodes = '{"items":[{"metadata":{"name":"new"}}]}';
  project.script(
    'kubectl',
    `case "$*" in *readyz*) echo ok;; *"get nodes"*) echo '${nodes}';; *) echo "Error from server (Forbidden): no" >&2; exit 1;; esac`,
  );
  const status = await readStatus(context);
  assert.is(status.cluster.state, 'running');
  assert.equal(status.cluster.nodes, [{ name: 'new', ready: false }], 'a node without a status yet');
  assert.equal([status.releases, status.notInstalled], [[], []]);
  assert.equal(context.logged, [
    'not known: the version, the releases, the certificates, the pods (Error from server (Forbidden): no)',
  ]);
});

test('with damaged settings, status shows the rest, and names the place', async ({ context }) => {
  const { settings: _, ...early } = context;
  const { environment } = context;
  await remember(environment);
  project.script('kubectl', `case "$*" in *readyz*) echo ok;; *) echo '{"items":[]}';; esac`);
  const file = join(environment.root, 'environments/development/settings.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, 'nodes: 3\n');
  try {
    assert.match(await formatStatus(await readStatus(early), early), /^cluster +running/m);
  } finally {
    writeFileSync(file, before);
  }
  const place = /\(environments\/development\/settings\.yaml:1 has an unknown setting `nodes`: /;
  assert.is(context.logged.length, 2, 'of the queries, and of the addresses');
  for (const line of context.logged) assert.match(line, place);
});

test.run();
