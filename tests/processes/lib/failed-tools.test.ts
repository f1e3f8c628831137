import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type CloneContext, type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A file that cannot be read is not absent, and a program that failed has said nothing. */

type State = {
  clone: ScriptedClone;
  environment: Environment;
  context: CloneContext;
  lib: typeof import('../../../lib/settings/environment.ts') &
    typeof import('../../../lib/settings/settings.ts') &
    typeof import('../../../lib/certificates/certificates.ts') &
    typeof import('../../../lib/cluster/embedded/services.ts') &
    typeof import('../../../lib/cluster/embedded/state.ts') &
    typeof import('../../../lib/rotation/rotate.ts') &
    typeof import('../../../lib/rotation/rotation-state.ts') &
    typeof import('../../../lib/rotation/server.ts') &
    typeof import('../../../lib/ingress/installed.ts') &
    typeof import('../../../lib/secrets/encrypted-file.ts') &
    typeof import('../../../lib/operations/status.ts') &
    typeof import('../../../lib/vault/health.ts');
};

const test = suite<State>('failed tools');

test.before(async (state) => {
  state.clone = scriptedClone();
  const modules = [
    ...['settings/environment', 'settings/settings', 'certificates/certificates'],
    ...['cluster/embedded/services', 'cluster/embedded/state', 'operations/status', 'secrets/encrypted-file'],
    ...['rotation/rotate', 'rotation/rotation-state', 'rotation/server'],
    ...['ingress/installed', 'vault/health'],
  ];
  state.lib = Object.assign(
    {},
    ...(await Promise.all(modules.map((path) => state.clone.lib<object>(`${path}.ts`)))),
  );
});
test.before.each(async (state) => {
  state.environment = await state.clone.environment('existing');
  state.context = await state.clone.context('existing');
  mkdirSync(state.environment.state, { recursive: true });
});
test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

// The first one: a tool that was found once is not looked for again.
test('without its tool, a created environment is not reported as absent', async ({
  lib,

  environment,
  context,
}) => {
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    assert.is((await lib.readStatus(context)).cluster.state, 'absent');
    await lib.remember(environment);
    const error = await failureOf(lib.readStatus(context));
    assert.equal([error.exitCode, error.what], [127, 'the state of environment `development` is not known']);
  } finally {
    process.env.PATH = PATH;
  }
});

test('an unreadable state file is an error without conclusions', async ({ lib, clone, environment }) => {
  const request = { name: 'app1-front', hosts: ['localhost'] };
  const readers: { readonly [path: string]: () => Promise<unknown> } = {
    'environment.json': () => lib.remembered('development'),
    'embedded.json': () => lib.readState(environment),
    'ingress.json': () => lib.readRecord(environment),
    'database-rotation.json': () => lib.readRotation(environment),
    'certificates/ca.key': () => lib.certificateProblem(environment, request),
  };
  for (const [path, read] of Object.entries(readers)) {
    // Root reads everything but a folder.
    mkdirSync(join(environment.state, path), { recursive: true });
    assert.match((await failureOf(read())).what, /^cannot read /, path);
    rmSync(join(environment.state, path), { recursive: true });
  }
  const folders: { readonly [path: string]: () => Promise<unknown> } = {
    '.state/development/services': () => lib.readServices(environment.state),
    'environments/development/secrets': () => lib.secretNames(environment),
    '.state': () => lib.checkEnvironment('unknown'),
  };
  for (const [path, read] of Object.entries(folders)) {
    const full = join(clone.folder, path);
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
  lib,
  environment,
}) => {
  for (const text of ['', '{"namespace":', 'null', '[]', '{"namespace": "ingress"}']) {
    writeFileSync(join(environment.state, 'ingress.json'), text);
    assert.match((await failureOf(lib.readRecord(environment))).what, /ingress\.json, .* is damaged$/, text);
  }
  for (const text of ['', '{"app2":', 'null', '3']) {
    writeFileSync(join(environment.state, 'database-rotation.json'), text);
    const { what, advice = '' } = await failureOf(lib.readRotation(environment));
    assert.match(what, /database-rotation\.json is damaged$/, text);
    assert.match(advice, /keep a copy/);
  }
});

test('an unreadable password is not reported as not installed', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  clone.script('kubectl', 'echo "Error from server (Forbidden): no" >&2; exit 1');
  assert.match((await failureOf(lib.installedPassword({ ...context, environment }))).why ?? '', 'Forbidden');
  clone.script('kubectl', `echo '{"items":[]}'`);
  assert.is(await lib.installedPassword({ ...context, environment }), undefined);
  clone.script('kubectl', `echo '{"items":[{"data":{"password":"aHVudGVy"}}]}'`);
  assert.is(await lib.installedPassword({ ...context, environment }), 'hunter');
});

test('a Vault that does not answer is not reported as not set up', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  clone.script('kubectl', `echo '{"items":[]}'`);
  assert.is(await lib.isInitialised({ ...context, environment }), false, 'there is none');
  const set = '{"kind":"StatefulSet","metadata":{"name":"vault"},"spec":{"replicas":1}}';
  clone.script('kubectl', `echo '{"items":[${set}]}'`);
  assert.is(
    (await failureOf(lib.isInitialised({ ...context, environment }))).what,
    'no pod of Vault is running',
  );
  clone.script('kubectl', 'kill -9 $$');
  assert.match(
    (await failureOf(lib.isInitialised({ ...context, environment }))).what,
    'was ended by SIGKILL',
  );
});

test('without valid keys, it is unknown whether Vault is configured', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  const vault = await scriptedVault(({ path }) =>
    path === 'sys/seal-status'
      ? { body: { initialized: true, sealed: false } }
      : { status: 403, body: { errors: ['permission denied'] } },
  );
  try {
    const owner = { ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] };
    const pod = { kind: 'Pod', metadata: { name: 'vault-0', ...owner }, status: { phase: 'Running' } };
    clone.script(
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
      const status = await lib.readVaultStatus({ ...context, environment });
      assert.equal(status, { initialized: true, sealed: false, configured }, text);
      const about = context.logged.filter((line) => !line.startsWith('left out'));
      assert.match(about.join('\n'), reason);
    }
  } finally {
    await vault.close();
  }
});

test('damaged keys of Vault are found before a password is changed', async ({
  lib,
  environment,
  context,
}) => {
  const path = join(environment.state, 'vault', 'keys.json');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  const error = await failureOf(lib.rotatePasswords({ ...context, environment }, 'all'));
  assert.match(error.what, /keys\.json are damaged$/);
  assert.equal(await lib.readRotation(environment), {});
});

test('status waits for no answer longer than 20 s', async ({ lib, clone, environment, context }) => {
  await lib.remember(environment);
  // As a command that ran into its limit ends.
  clone.script('kubectl', `case "$*" in *readyz*) echo ok;; *) exit 124;; esac`);
  const limits: unknown[] = [];
  const $ = ((options: { timeoutMs?: number }) => {
    limits.push(options.timeoutMs);
    return context.$(options);
  }) as typeof context.$;
  await lib.readStatus({ ...context, $ });
  assert.equal(limits, [20_000]);
  assert.equal(context.logged, [
    'not known: the version, the nodes, the releases (kubectl gave no answer within 20 s)',
  ]);
});

test('status reports what it could not read, besides its fixed output', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  await lib.remember(environment);
  const nodes = '{"items":[{"metadata":{"name":"new"}}]}';
  clone.script(
    'kubectl',
    `case "$*" in *readyz*) echo ok;; *"get nodes"*) echo '${nodes}';; *) echo "Error from server (Forbidden): no" >&2; exit 1;; esac`,
  );
  const status = await lib.readStatus(context);
  assert.is(status.cluster.state, 'running');
  assert.equal(status.cluster.nodes, [{ name: 'new', ready: false }], 'a node without a status yet');
  assert.equal(status.releases, []);
  assert.equal(context.logged, ['not known: the version, the releases (Error from server (Forbidden): no)']);
});

test.run();
