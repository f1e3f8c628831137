import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/sops.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('sops');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('sops.ts');
  state.environment = await state.clone.environment('embedded');
});

test.before.each((state) => {
  state.context = state.clone.context('embedded');
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

const decrypt = ({ lib, environment, context }: State): Promise<string> =>
  lib.decryptValue(environment, 'database.yaml', 'password', context);

test('a value is decrypted with the environment’s keyring and is a secret from then on', async (state) => {
  state.clone.script('sops', 'echo "$GNUPGHOME" >&2; echo "s3cr3t value"');
  assert.is(await decrypt(state), 's3cr3t value');
  assert.equal(state.context.secrets, ['s3cr3t value']);
  const file = join(state.clone.folder, 'environments/development/secrets/database.yaml');
  assert.equal(state.clone.calls(), [`sops decrypt --extract ["password"] ${file}`]);
});

const file = 'environments/development/secrets/database.yaml';

for (const [stderr, what, advice] of [
  ['MAC mismatch. File has 1, computed 2', `${file} is damaged`, /^restore it: git checkout -- environments/],
  ['Error unmarshalling input yaml: yaml: line 3', `${file} is damaged`, /git checkout/],
  ['sops metadata not found', `${file} is damaged`, /git checkout/],
  [
    'Failed to get the data key required to decrypt the SOPS file.\n\nGroup 0: FAILED\n  0A: FAILED\n    - | gpg: no secret key',
    `no key in the keyring opens ${file}`,
    /sops updatekeys/,
  ],
  [
    'Failed to get the data key required to decrypt the SOPS file.\n\n    - | gpg: CRC error; 123456 - 654321',
    `${file} is damaged`,
    /git checkout/,
  ],
  ['cannot operate on non-existent file', `${file} is not there`, /secrets\/ included/],
  ['error: component ["password"] not found', `${file} has no value \`password\``, /sops edit/],
] as const) {
  test(`what SOPS says, in words of ours: ${stderr.split('\n').at(-1)}`, async (state) => {
    state.clone.script('sops', `cat >&2 <<'END'\n${stderr}\nEND\nexit 128`);
    const error = await failureOf(decrypt(state));
    assert.is(error.what, what);
    assert.match(error.advice ?? '', advice);
    assert.ok((error.why ?? '').split('\n').length === 1);
  });
}

const fingerprint = '0123456789ABCDEF0123456789ABCDEF01234567';

/** A gpg whose keyring has the key once it was imported. */
const gpg = (clone: ScriptedClone): void =>
  clone.script(
    'gpg',
    `case "$*" in
      *--show-keys*) echo "fpr:::::::::${fingerprint}:";;
      *--list-secret-keys*) [ -e "$GNUPGHOME/imported" ] || exit 2;;
      *--import*) : > "$GNUPGHOME/imported";;
    esac`,
  );

test('the key is imported once, into a keyring that only the user can read', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  gpg(clone);
  assert.is(await lib.importKeys(environment, context), 'changed');
  assert.is(statSync(environment.gnupgHome).mode & 0o777, 0o700);
  assert.is(await lib.importKeys(environment, context), 'unchanged');
  const imports = clone.calls().filter((line) => line.includes('--import'));
  const key = join(clone.folder, 'sops/development-operational.asc');
  assert.equal(imports, [`gpg --batch --homedir ${environment.gnupgHome} --import ${key}`]);
});

test('a key file without a key is told', async ({ lib, clone, environment, context }) => {
  clone.script('gpg', '');
  const error = await failureOf(lib.importKeys(environment, context));
  assert.is(error.what, 'sops/development-operational.asc holds no key');
});

test('a keyring that others can read is not used', async ({ lib, clone, environment, context }) => {
  gpg(clone);
  mkdirSync(environment.gnupgHome, { recursive: true });
  chmodSync(environment.gnupgHome, 0o755);
  const error = await failureOf(lib.importKeys(environment, context));
  assert.is(error.what, `${environment.gnupgHome} cannot hold a keyring`);
  assert.equal(clone.calls(), []);
});

test('the agent is ended with the run, and only where there is one', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  gpg(clone);
  clone.script('gpgconf', '');
  await lib.importKeys(environment, context);
  await context.end('done');
  assert.not.ok(clone.calls().some((line) => line.startsWith('gpgconf')));
  writeFileSync(join(environment.gnupgHome, 'S.gpg-agent'), '');
  await lib.stopAgent(environment, context);
  assert.is(clone.calls().at(-1), `gpgconf --homedir ${environment.gnupgHome} --kill all`);
});

test('a removed keyring leaves nothing', async ({ lib, clone, environment, context }) => {
  gpg(clone);
  await lib.importKeys(environment, context);
  assert.ok(readdirSync(environment.gnupgHome).length > 0);
  await lib.removeKeyring(environment, context);
  assert.not.ok(existsSync(environment.gnupgHome));
});

test.run();
