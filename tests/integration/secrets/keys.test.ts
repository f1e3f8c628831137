import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importKeys, removeKeyring } from '../../../lib/secrets/keyring.ts';
import { makeSecrets } from '../../../lib/secrets/make.ts';
import { decryptValue } from '../../../lib/secrets/sops.ts';
import { findProgram } from '../../rig/find-program.ts';
import { type CloneContext, type ScriptedFolder, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

/* Keys that cannot be used, with the real gpg and sops. */

type State = {
  clone: ScriptedFolder;
  context: CloneContext;
  /** Folder in which keys are created. */
  home: string;
};

const test = suite<State>('keys of SOPS');

const sops = findProgram('SOPS', 'sops');
const realSops = ({ script }: ScriptedFolder): void => script('sops', `exec ${sops} "$@"`);

test.before(async (state) => {
  state.clone = scriptedFolder('.sops.yaml', 'environments', 'sops');
  realSops(state.clone);
  state.home = mkdtempSync(join(tmpdir(), 'kdk-'));
});
test.before.each(async (state) => {
  state.context = await state.clone.context('embedded');
});
test.after.each(async (state) => {
  delete process.env.SOPS_PGP_KEY_FILE;
  delete process.env.SOPS_PGP_KEY;
  await removeKeyring(state.context);
  state.clone.reset();
});
test.after(({ clone, home }) => {
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
  rmSync(home, { recursive: true });
  clone.remove();
});

const gpg = ({ home }: State, ...words: readonly string[]): string =>
  execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** Creates a key with an encryption subkey; `words` precede each command. Returns its fingerprint. */
function makeKey(
  state: State,
  name: string,
  passphrase = '',
  words: readonly string[] = [],
  ends = 'never',
): string {
  const all = [...words, '--passphrase', passphrase];
  gpg(state, ...all, '--quick-generate-key', name, 'ed25519', 'cert,sign', ends);
  const fingerprint = fingerprintOf(state, name);
  gpg(state, ...all, '--quick-add-key', fingerprint, 'cv25519', 'encr', ends);
  return fingerprint;
}

const fingerprintOf = (state: State, name: string): string =>
  /^fpr:+([0-9A-F]{40}):/m.exec(gpg(state, '--with-colons', '--list-keys', `=${name}`))?.[1] ?? '';

const exported = (state: State, ...words: readonly string[]): string => gpg(state, '--armor', ...words);

const long = ['--faked-system-time', '20200101T000000'];

/** Why a text is not imported; the keyring must stay empty. */
async function refusal(state: State, text: string): Promise<string> {
  const file = join(state.home, 'key.asc');
  writeFileSync(file, text);
  process.env.SOPS_PGP_KEY_FILE = file;
  const error = await failureOf(importKeys(state.context));
  const { gnupgHome } = state.context.environment;
  const keys = join(gnupgHome, 'private-keys-v1.d');
  assert.equal(readdirSync(gnupgHome).includes('private-keys-v1.d') ? readdirSync(keys) : [], []);
  assert.ok(error.advice);
  return `${error.what}: ${error.why}`;
}

test('a key with a passphrase is refused before it is imported', async (state) => {
  const key = makeKey(state, 'locked', 'a passphrase');
  const text = exported(state, '--passphrase', 'a passphrase', '--export-secret-keys', key);
  assert.match(
    await refusal(state, text),
    /cannot be used: it has a passphrase: no task could ask for it; it was not imported/,
  );
  const parts = exported(state, '--passphrase', 'a passphrase', '--export-secret-subkeys', key);
  assert.match(await refusal(state, parts), /it has a passphrase/);
  process.env.SOPS_PGP_KEY = text;
  assert.match((await failureOf(importKeys(state.context))).what, /^the key in SOPS_PGP_KEY cannot be used/);
});

test('a file that is not the right key says what it is', async (state) => {
  const [one, two] = [makeKey(state, 'one'), makeKey(state, 'two')];
  gpg(state, '--passphrase', '', '--quick-generate-key', 'signer', 'ed25519', 'cert,sign', 'never');
  const whole = exported(state, '--export-secret-keys', one);
  for (const [text, why] of [
    ['', /it is empty$/],
    ['hello\n', /gpg finds no key in it \(gpg: no valid OpenPGP data found\.\)$/],
    [
      '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n',
      /gpg finds no key in it/,
    ],
    [whole.slice(0, whole.length / 2), /gpg finds no key in it/],
    [exported(state, '--export', one), /it is only a public half$/],
    [
      whole + exported(state, '--export-secret-keys', two),
      new RegExp(`it holds 2 private keys: ${one}, ${two}$`),
    ],
    [
      exported(state, '--export-secret-keys', fingerprintOf(state, 'signer')),
      /no part of it encrypts: it only signs$/,
    ],
  ] as const)
    assert.match(await refusal(state, text), why);
  const refused = async (variables: Record<string, string>) => {
    Object.assign(process.env, variables);
    return (await failureOf(importKeys(state.context))).why;
  };
  assert.is(await refused({ SOPS_PGP_KEY_FILE: state.home }), 'it is a folder');
  const pipe = join(state.home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  assert.match((await refused({ SOPS_PGP_KEY_FILE: pipe })) ?? '', /^it is a pipe or a device, .* only once/);
  assert.is(await refused({ SOPS_PGP_KEY: whole.replaceAll('\n', ' ') }), 'its line breaks are lost');
});

test('armour without its blank line is refused, and no line of it is shown', async (state) => {
  const whole = exported(state, '--export-secret-keys', makeKey(state, 'folded'));
  const folded = whole.replace('\n\n', '\n');
  const [, line = ''] = folded.split('\n');
  assert.match(await refusal(state, folded), /gpg finds no key in it \(gpg: invalid armor header\)$/);
  process.env.SOPS_PGP_KEY = folded;
  const lost = await failureOf(importKeys(state.context));
  assert.is(lost.why, 'the blank line after its first line is lost');
  // With other text before it, gpg prints the line.
  process.env.SOPS_PGP_KEY = whole.replace('\n\n', `\nVersion 1\n${line}\n\n`);
  const error = await failureOf(importKeys(state.context));
  assert.is(error.exitCode, 1);
  for (const text of [JSON.stringify(error), JSON.stringify(lost)]) assert.not.ok(text.includes(line));
});

test('a key with CRLF, or beside the public half of another, is accepted', async (state) => {
  const [key, other] = [makeKey(state, 'dos'), makeKey(state, 'other')];
  const file = join(state.home, 'dos.asc');
  process.env.SOPS_PGP_KEY_FILE = file;
  writeFileSync(
    file,
    exported(state, '--export-secret-keys', key).replaceAll('\n', '\r\n') +
      exported(state, '--export', other),
  );
  assert.is(await importKeys(state.context), 'changed');
  assert.is(await importKeys(state.context), 'unchanged');
});

test('an extended key, and what a keyring has lost, is imported again', async (state) => {
  const key = makeKey(state, 'renewed', '', [], '2y');
  const file = join(state.home, 'renewed.asc');
  process.env.SOPS_PGP_KEY_FILE = file;
  const importing = () => importKeys(state.context);
  const keep = () => writeFileSync(file, exported(state, '--export-secret-keys', key));
  keep();
  assert.is(await importing(), 'changed');
  assert.is(await importing(), 'unchanged');
  gpg(state, '--quick-set-expire', key, '5y');
  keep();
  assert.is(await importing(), 'changed');
  const home = state.context.environment.gnupgHome;
  const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
  execFileSync('gpg', ['--homedir', home, '--batch', '--yes', '--quiet', '--delete-keys', backup]);
  assert.is(await importing(), 'changed');
  const halves = join(home, 'private-keys-v1.d');
  const [half = ''] = readdirSync(halves);
  rmSync(join(halves, half));
  assert.is(await importing(), 'changed');
  assert.ok(readdirSync(halves).includes(half));
  assert.is(await importing(), 'unchanged');
});

test('an expired operational key decrypts files, and a warning names its date', async (state) => {
  const key = makeKey(state, 'old', '', long, '1y');
  writeFileSync(join(state.home, 'old.asc'), exported(state, '--export-secret-keys', key));
  process.env.SOPS_PGP_KEY_FILE = join(state.home, 'old.asc');
  assert.is(await importKeys(state.context), 'changed');
  assert.match(
    state.context.logged.join('\n'),
    /old\.asc: the key expired on 2020-12-31; it decrypts files.*rotate-keys/,
  );
});

test('a key for which nothing can be encrypted is named with the reason, and not called missing', async (state) => {
  const rules = join(state.clone.folder, '.sops.yaml');
  const before = readFileSync(rules, 'utf8');
  const half = join(state.clone.folder, 'sops/backup.public.asc');
  // The new environment takes development's file as its model.
  const environment = { ...state.context.environment, name: 'staging' };
  const failed = async (key: string): Promise<string> => {
    writeFileSync(rules, before.replace(/7391ED\w+/, key));
    await importKeys(state.context);
    const error = await failureOf(makeSecrets({ ...state.context, environment }));
    return `${error.why}; ${error.advice}`;
  };
  try {
    const expired = makeKey(state, 'expired', '', long, '1y');
    writeFileSync(half, exported(state, '--export', expired));
    assert.match(
      await failed(expired),
      new RegExp(`${expired}: the key expired on 2020-12-31; have its owner extend it`),
    );
    const missing = '0123456789ABCDEF0123456789ABCDEF01234567';
    assert.match(
      await failed(missing),
      new RegExp(`${missing}: its public half is missing; put the public half`),
    );
  } finally {
    writeFileSync(rules, before);
    rmSync(half, { force: true });
  }
});

test('a gpg that is killed while sops decrypts is named', async (state) => {
  await importKeys(state.context);
  state.clone.script('gpg', 'kill -9 $$');
  try {
    const error = await failureOf(decryptValue(state.context, 'database.yaml', 'password'));
    assert.match(error.what, /^gpg could not decrypt environments\/development\/secrets\/database\.yaml$/);
    assert.match(error.why ?? '', /killed, or could not be started/);
    assert.not.match(error.advice ?? '', /git/);
  } finally {
    state.clone.unscript('gpg');
  }
});

test.run();
