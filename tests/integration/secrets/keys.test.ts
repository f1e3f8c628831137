import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { refuseDevelopmentKeys } from '../../../lib/secrets/development-keys.ts';
import { readEncrypted } from '../../../lib/secrets/encrypted-file.ts';
import { importKeys, removeKeyring } from '../../../lib/secrets/keyring.ts';
import { makeSecrets } from '../../../lib/secrets/make.ts';
import { decryptValue } from '../../../lib/secrets/sops.ts';
import { findProgram } from '../../rig/programs.ts';
import { type CloneContext, scriptedFolder, withSettings } from '../../rig/scripted-folder.ts';
import { fails, failureOf, settledContext } from '../../rig/task-context.ts';

/* Keys that cannot be used, and those of age, with the real gpg and sops. */

const test = suite('keys of SOPS');

// Before the PATH is another one.
const sops = findProgram('SOPS', 'sops');
const clone = scriptedFolder('.sops.yaml', 'environments', 'sops');
clone.script('sops', `exec ${sops} "$@"`);
/** Folder in which keys are created. */
const home = temporaryFolder();
const publicBackup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
let context: CloneContext;

test.before.each(async () => {
  context = await clone.context('embedded');
});
test.after.each(async () => {
  for (const name of ['PGP_KEY', 'PGP_KEY_FILE', 'AGE_KEY', 'AGE_KEY_FILE'])
    delete process.env[`SOPS_${name}`];
  await removeKeyring(context);
  clone.reset();
});
test.after(() => void execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']));

const gpg = (...words: readonly string[]): string =>
  execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** Creates a key with an encryption subkey; `words` precede each command. Returns its fingerprint. */
function makeKey(name: string, passphrase = '', words: readonly string[] = [], ends = 'never'): string {
  const all = [...words, '--passphrase', passphrase];
  gpg(...all, '--quick-generate-key', name, 'ed25519', 'cert,sign', ends);
  const fingerprint = fingerprintOf(name);
  gpg(...all, '--quick-add-key', fingerprint, 'cv25519', 'encr', ends);
  return fingerprint;
}

const fingerprintOf = (name: string): string =>
  /^fpr:+([0-9A-F]{40}):/m.exec(gpg('--with-colons', '--list-keys', `=${name}`))?.[1] ?? '';

const exported = (...words: readonly string[]): string => gpg('--armor', ...words);

const long = ['--faked-system-time', '20200101T000000'];

function give(text: string): void {
  process.env.SOPS_PGP_KEY_FILE = join(home, 'given.asc');
  writeFileSync(process.env.SOPS_PGP_KEY_FILE, text);
}

/** Why a text is not imported; the keyring must stay empty. */
async function refusal(text: string): Promise<string> {
  give(text);
  const error = await failureOf(importKeys(context));
  const { gnupgHome } = context.environment;
  const keys = join(gnupgHome, 'private-keys-v1.d');
  assert.equal(readdirSync(gnupgHome).includes('private-keys-v1.d') ? readdirSync(keys) : [], []);
  assert.ok(error.advice);
  return `${error.what}: ${error.why}`;
}

test('a key with a passphrase is refused before it is imported', async () => {
  const key = makeKey('locked', 'a passphrase');
  const text = exported('--passphrase', 'a passphrase', '--export-secret-keys', key);
  const why = 'cannot be used: it has a passphrase: no task could ask for it; it was not imported';
  assert.match(await refusal(text), why);
  const parts = exported('--passphrase', 'a passphrase', '--export-secret-subkeys', key);
  assert.match(await refusal(parts), /it has a passphrase/);
  process.env.SOPS_PGP_KEY = text;
  await fails(importKeys(context), { what: /^the key in SOPS_PGP_KEY cannot be used/ });
});

test('a file that is not the right key says what it is', async () => {
  const [one, two] = [makeKey('one'), makeKey('two')];
  gpg('--passphrase', '', '--quick-generate-key', 'signer', 'ed25519', 'cert,sign', 'never');
  const whole = exported('--export-secret-keys', one);
  for (const [text, why] of [
    ['', /it is empty$/],
    ['hello\n', /gpg finds no key in it \(gpg: no valid OpenPGP data found\.\)$/],
    [whole.slice(0, whole.length / 2), /gpg finds no key in it/],
    [exported('--export', one), /it is only a public half$/],
    [whole + exported('--export-secret-keys', two), new RegExp(`it holds 2 private keys: ${one}, ${two}$`)],
    [exported('--export-secret-keys', fingerprintOf('signer')), /no part of it encrypts: it only signs$/],
  ] as const)
    assert.match(await refusal(text), why);
  const refused = async (variables: Record<string, string>) => {
    Object.assign(process.env, variables);
    return (await failureOf(importKeys(context))).why;
  };
  assert.is(await refused({ SOPS_PGP_KEY_FILE: home }), 'it is a folder');
  const pipe = join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  assert.match((await refused({ SOPS_PGP_KEY_FILE: pipe })) ?? '', /^it is a pipe or a device, .* only once/);
  assert.is(await refused({ SOPS_PGP_KEY: whole.replaceAll('\n', ' ') }), 'its line breaks are lost');
});

test('armour without its blank line is refused, and no line of it is shown', async () => {
  const whole = exported('--export-secret-keys', makeKey('folded'));
  const folded = whole.replace('\n\n', '\n');
  const [, line = ''] = folded.split('\n');
  assert.match(await refusal(folded), /gpg finds no key in it \(gpg: invalid armor header\)$/);
  process.env.SOPS_PGP_KEY = folded;
  const lost = await failureOf(importKeys(context));
  assert.is(lost.why, 'the blank line after its first line is lost');
  // With other text before it, gpg prints the line.
  process.env.SOPS_PGP_KEY = whole.replace('\n\n', `\nVersion 1\n${line}\n\n`);
  const error = await failureOf(importKeys(context));
  assert.is(error.exitCode, 1);
  for (const text of [JSON.stringify(error), JSON.stringify(lost)]) assert.not.ok(text.includes(line));
});

test('a key with CRLF, or beside the public half of another, is accepted', async () => {
  const [key, other] = [makeKey('dos'), makeKey('other')];
  give(exported('--export-secret-keys', key).replaceAll('\n', '\r\n') + exported('--export', other));
  assert.is(await importKeys(context), 'changed');
  assert.is(await importKeys(context), 'unchanged');
});

test('an extended key, and what a keyring has lost, is imported again', async () => {
  const key = makeKey('renewed', '', [], '2y');
  const importing = () => importKeys(context);
  give(exported('--export-secret-keys', key));
  assert.is(await importing(), 'changed');
  gpg('--quick-set-expire', key, '5y');
  give(exported('--export-secret-keys', key));
  assert.is(await importing(), 'changed');
  const home = context.environment.gnupgHome;
  execFileSync('gpg', ['--homedir', home, '--batch', '--yes', '--quiet', '--delete-keys', publicBackup]);
  assert.is(await importing(), 'changed');
  const halves = join(home, 'private-keys-v1.d');
  const [half = ''] = readdirSync(halves);
  rmSync(join(halves, half));
  assert.is(await importing(), 'changed');
  assert.ok(readdirSync(halves).includes(half));
  assert.is(await importing(), 'unchanged');
});

test('an expired operational key decrypts files, and a warning names its date', async () => {
  const key = makeKey('old', '', long, '1y');
  give(exported('--export-secret-keys', key));
  assert.is(await importKeys(context), 'changed');
  const warning = /given\.asc: the key expired on 2020-12-31; it decrypts files.*rotate-keys/;
  assert.match(context.logged.join('\n'), warning);
});

test('a key for which nothing can be encrypted is named with the reason, and not called missing', async () => {
  const rules = join(clone.folder, '.sops.yaml');
  const before = readFileSync(rules, 'utf8');
  // The new environment takes development's file as its model.
  const environment = { ...context.environment, name: 'staging' };
  const expired = makeKey('expired', '', long, '1y');
  writeFileSync(join(clone.folder, 'sops/backup.public.asc'), exported('--export', expired));
  for (const [key, why] of [
    [expired, 'the key expired on 2020-12-31; have its owner extend it'],
    ['0123456789ABCDEF0123456789ABCDEF01234567', 'its public half is missing; put the public half'],
  ] as const) {
    writeFileSync(rules, before.replace(/7391ED\w+/, key));
    await importKeys(context);
    const error = await failureOf(makeSecrets({ ...context, environment }));
    assert.match(`${error.why}; ${error.advice}`, `${key}: ${why}`);
  }
});

test('a gpg that is killed while sops decrypts is named', async () => {
  await importKeys(context);
  clone.script('gpg', 'kill -9 $$');
  const { advice } = await fails(decryptValue(context, 'database.yaml', 'password'), {
    what: 'gpg could not decrypt environments/development/secrets/database.yaml',
    why: /killed, or could not be started/,
  });
  clone.unscript('gpg');
  assert.not.match(advice ?? '', /git/);
});

const file = 'environments/production/secrets/database.yaml';

/** Pairs as age-keygen makes them, which open nothing else. */
const [operational, backup] = [
  {
    secret: 'AGE-SECRET-KEY-'.concat('1VP0ZNDSP8ZG6T9ZT8GCHXAU7X9PKZEW7JGJVL4G7MHH3ADZJ09RS70WQJA'),
    recipient: 'age190yhgt2mzf2klskl4mgzdczkh9pf4czhjf2k0ltjxeew6ge4wdzqhs7ztq',
  },
  {
    secret: 'AGE-SECRET-KEY-'.concat('15R6GRK3KR9ZRUSY5Z55E5EMH6QQEQ8SVKXS4P5EZYZV8XURRKAHQLG0QZ6'),
    recipient: 'age1h45nrc8c50x2zkst6lll95s65xczm8j7swvkzklel9u9vy03k4yq72u3u9',
  },
];

async function production(rule: string): Promise<CloneContext> {
  const rules = join(clone.folder, '.sops.yaml');
  const added = `creation_rules:\n  - path_regex: environments/production/\n${rule}`;
  writeFileSync(rules, readFileSync(rules, 'utf8').replace('creation_rules:\n', added));
  const options = { env: 'production', provider: 'existing', context: 'some' };
  return withSettings({ sops: { key: '/nonexistent.asc' } }, await settledContext(options, clone.folder));
}

const twoAgeKeys = `    age: ${operational.recipient},${backup.recipient}\n`;

test('secrets are created and read with SOPS_AGE_KEY or SOPS_AGE_KEY_FILE, without an OpenPGP key', async () => {
  const context = await production(twoAgeKeys);
  await refuseDevelopmentKeys(context);
  process.env.SOPS_AGE_KEY = `# operational\n${operational.secret}\n`;
  assert.is(await importKeys(context), 'unchanged');
  assert.ok(context.secrets.includes(operational.secret));
  await makeSecrets(context);
  const { recipients } = await readEncrypted(clone.folder, file);
  assert.equal(recipients, [operational.recipient, backup.recipient]);
  const password = await decryptValue(context, 'database.yaml', 'password');
  assert.match(password, /^[0-9a-f]{32}$/);
  delete process.env.SOPS_AGE_KEY;
  const decrypt = () => decryptValue(context, 'database.yaml', 'password');
  await fails(decrypt(), { what: `no key in the keyring opens ${file}` });
  process.env.SOPS_AGE_KEY = `"${operational.secret}"`;
  await fails(decrypt(), {
    why: "failed to parse 'SOPS_AGE_KEY' age identities: unknown identity type",
  });
  delete process.env.SOPS_AGE_KEY;
  process.env.SOPS_AGE_KEY_FILE = join(clone.folder, '..', 'backup.txt');
  writeFileSync(process.env.SOPS_AGE_KEY_FILE, `${backup.secret}\n`);
  assert.is(await decrypt(), password);
});

test('an age key and an OpenPGP backup key: only its public half is needed', async () => {
  const context = await production(`    age: ${operational.recipient}\n    pgp: ${publicBackup}\n`);
  process.env.SOPS_AGE_KEY = operational.secret;
  assert.is(await importKeys(context), 'changed');
  await makeSecrets(context);
  const { recipients } = await readEncrypted(clone.folder, file);
  assert.equal([...recipients].sort(), [publicBackup, operational.recipient]);
  assert.ok(await decryptValue(context, 'database.yaml', 'password'));
  await removeKeyring(context);
});

test.run();
