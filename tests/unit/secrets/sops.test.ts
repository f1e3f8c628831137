import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { parseEncrypted, readEncrypted } from '../../../lib/secrets/encrypted-file.ts';
import { readSopsFailure } from '../../../lib/secrets/explain.ts';
import { findPrivateKeys, keyMarks, longestLine, secretForms } from '../../../lib/secrets/leaks.ts';
import { creationRules, isFingerprint, recipientsIn, ruleFor } from '../../../lib/secrets/recipients.ts';
import { fails } from '../../rig/task-context.ts';

const folder = temporaryFolder();

const write = (text: string): void => writeFileSync(join(folder, '.sops.yaml'), text);

test('a rule has a pattern and fingerprints, as a text or a list, and the first match counts', async () => {
  write(
    'creation_rules:\n  - { path_regex: "a/[^/]+\\\\.yaml$", pgp: "AB CD, 0xEF" }\n  - { pgp: [AB, CD] }\n  -\n',
  );
  const rules = await creationRules(folder);
  assert.equal(rules, [
    { pattern: 'a/[^/]+\\.yaml$', recipients: ['ABCD', 'EF'] },
    { pattern: '', recipients: ['AB', 'CD'] },
    { pattern: '', recipients: [] },
  ]);
  assert.is(ruleFor(rules, 'a/x.yaml'), rules[0]);
  assert.is(ruleFor(rules, 'a/b/x.yaml'), rules[1]);
});

test('a pattern that sops would read differently is refused', async () => {
  for (const pattern of '(?i)x x(?=y) (?P<a>x) \\Ax\\z [[:alpha:]] \\pL (a)\\1 ( *'.split(' ')) {
    write(JSON.stringify({ creation_rules: [{ path_regex: pattern, pgp: 'AB' }] }));
    await fails(creationRules(folder), { what: `.sops.yaml has the \`path_regex\` ${pattern}` });
  }
});

test('missing rules, and fingerprints that YAML reads as numbers, are errors', async () => {
  for (const text of ['', 'a: 1', 'creation_rules: 5']) {
    write(text);
    await fails(creationRules(folder), { what: '.sops.yaml cannot be read' });
  }
  const number = '0123456789012345678901234567890123456789';
  write(`creation_rules:\n  - pgp: ${number}\n`);
  await fails(creationRules(folder), { what: new RegExp(`\\.sops\\.yaml:2: \`${number}\``) });
  rmSync(join(folder, '.sops.yaml'));
  await fails(creationRules(folder), { why: /ENOENT/ });
});

/* Keys of cloud services are only compared and checked; encrypting for them takes the service. */

const arn = 'arn:aws:kms:eu-central-1:111122223333:key/1234';
const gcp = 'projects/some/locations/global/keyRings/sops/cryptoKeys/key';
const azure = 'https://some.vault.azure.net/keys/sops/abc';
const vault = 'https://vault.example.com:8200/v1/sops/keys/key';
const age = 'age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq';
const pgp = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';

test('a rule and a file name a key in the same way, whatever the form', () => {
  const all = [pgp, age, arn, gcp, azure, vault].sort();
  const kms = `${arn}+arn:aws:iam::111122223333:role/sops`;
  const services = { kms, gcp_kms: gcp, azure_keyvault: azure, hc_vault_transit_uri: vault };
  const rule = { pgp: ` ${pgp.toLowerCase()} `, age, ...services };
  const group = {
    ...{ age: [age], kms: [{ arn, role: 'some' }], gcp_kms: [{ resource_id: gcp }] },
    azure_keyvault: [{ vaultUrl: 'https://some.vault.azure.net', key: 'sops', version: 'abc' }],
    hc_vault: [vault],
  };
  const metadata = {
    ...{ pgp: [{ fp: pgp, enc: '' }], age: [{ recipient: age, enc: '' }], kms: [{ arn, enc: '' }] },
    gcp_kms: [{ resource_id: gcp, enc: '' }],
    azure_kv: [{ vault_url: 'https://some.vault.azure.net', name: 'sops', version: 'abc', enc: '' }],
    hc_vault: [{ vault_address: 'https://vault.example.com:8200', engine_path: 'sops', key_name: 'key' }],
  };
  for (const content of [rule, { key_groups: [{ pgp: [pgp] }, group] }, metadata])
    assert.equal(recipientsIn(content).sort(), all);
  assert.equal(all.filter(isFingerprint), [pgp]);
});

test('a value is recognised in base64 at any offset', () => {
  const value = 'p4ssw0rd/of+someöne';
  const isSeen = (text: string) => secretForms(value).some((form) => text.includes(form.text));
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  for (const before of ['', 'a', 'ab', 'abc', 'user:'])
    for (const after of ['', 'x', 'xy', '\n'])
      assert.ok(isSeen(`"${base64(before + value + after)}"`), `${before}…${after}`);
  assert.ok(isSeen(`postgres://me:${encodeURIComponent(value)}@host/`));
  assert.not.ok(isSeen(base64('p4ssw0rd/of+somebody')));
});

test('values in plain text are found, and a damaged file is named without its content', async () => {
  const text = 'a: ENC[AES256_GCM,data:x,type:str]\nb: plain\nc: [ENC, ""]\nsops:\n  pgp: [{ fp: ab cd }]\n';
  const found = await parseEncrypted(text);
  assert.equal([found?.recipients, found?.plain], [['ABCD'], [['b'], ['c', '0']]]);
  assert.is(found?.values.length, 4);
  for (const damaged of ['- a list', 'secret: "no end', '']) {
    assert.is(await parseEncrypted(damaged), undefined);
    writeFileSync(join(folder, 'some.yaml'), damaged);
    const error = await fails(readEncrypted(folder, 'some.yaml'), { what: 'some.yaml is damaged' });
    assert.not.match(JSON.stringify([error, error.message]), 'no end');
  }
});

test('mentioning a private key is allowed', () => {
  assert.equal(findPrivateKeys("text.includes('-----BEGIN PGP PRIVATE KEY BLOCK-----')\n"), []);
  assert.equal(findPrivateKeys('-----BEGIN RSA PRIVATE KEY-----\n…\n'), []);
  const key = `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n${'Ab+/'.repeat(16)}\n`;
  assert.equal(findPrivateKeys(`first\n${key}`), [{ line: 2, what: 'a private key' }]);
});

test('git looks for the longest line of a value, and for a mark of each key', () => {
  for (const text of ['ab\nlonger\nc\n', '\nlonger', 'longer']) assert.is(longestLine(text), 'longer');
  const body = 'Ab+/'.repeat(16);
  const pem = `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  const keys = {
    'a private key': pem,
    'a private key in base64': Buffer.from(pem).toString('base64'),
    'a private OpenPGP key': pem.replaceAll('PRIVATE KEY', 'PGP PRIVATE KEY BLOCK'),
    'an age key': `AGE-SECRET-KEY-1${'Q'.repeat(58)}`,
    'a token of Vault': `hvs.${'a'.repeat(24)}`,
  };
  for (const [what, text] of Object.entries(keys)) {
    const found = findPrivateKeys(text).map((key) => key.what);
    assert.equal([found, keyMarks.some((mark) => text.includes(mark))], [[what], true]);
  }
});

/** What sops 3.13 prints when no key opens a file, with gpg's words for each of its two recipients. */
const closed = (...said: readonly string[]): string =>
  `Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
${said
  .map(
    (words) => `  9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C: FAILED
    - | could not decrypt data key with PGP key:
      | github.com/ProtonMail/go-crypto/openpgp error: could not
      | load secring: open /tmp/g/pubring.gpg: no such
      | file or directory; GnuPG binary error: failed to decrypt
      | sops data key with pgp: ${words}
`,
  )
  .join('  \n')}
Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were.`;

const lacking = `gpg: encrypted with RSA key, ID
      | 5246217694F01420
      | gpg: decryption failed: No secret key`;

/** Of one recipient that is no OpenPGP key. */
const refused = (...words: readonly string[]): string =>
  `Failed to get the data key\n\nGroup 0: FAILED\n  one: FAILED\n    - | ${words.join('\n      | ')}\n\nRecovery`;

const unusable = (reason: string): string => `gpg: encrypted with 2048-bit RSA
      | key, ID 44C615D08320BD85
      |       "name"
      | gpg: public key decryption failed: ${reason}
      | gpg: decryption failed: No secret key`;
const loading = 'failed to load age identities. Errors while loading age\n      | identities:';
const places = "Did not find keys in\n      | locations 'SOPS_AGE_KEY_CMD', and '/home/user/.ssh/id_rsa'.";
const unopened = 'failed to open SOPS_AGE_KEY_FILE file: open';
const malformed = "failed to parse 'SOPS_AGE_KEY' age identities: malformed secret key: invalid checksum";
const kms = 'decrypt sops data key with AWS KMS: operation error KMS: Decrypt, AccessDeniedException';

/** What sops says, the cause, and its reason if it has one. */
const causes: readonly (readonly string[])[] = [
  // Only messages of sops say that a file is damaged, closed or absent.
  ['MAC mismatch. File has 1, computed 2', 'damaged'],
  ['Cannot decrypt MAC: Could not decrypt with AES_GCM: cipher: message not authentic', 'damaged'],
  ['Error decrypting tree: Error walking tree: Could not decrypt value: illegal base64 data', 'damaged'],
  ['sops metadata not found', 'damaged'],
  ["yaml: line 1: did not find expected ',' or ']'", 'damaged'],
  [closed('gpg: CRC error; 814BE7 - CA9A3A', lacking), 'damaged', 'gpg: CRC error; 814BE7 - CA9A3A'],
  ['Error: cannot operate on non-existent file "/a/b.yaml"', 'no file'],
  [closed(lacking, lacking), 'no key'],
  ['Failed to get the data key required to decrypt the SOPS file.', 'no key'],
  ['Error reading file: read /a/b.yaml: is a directory', 'sops failed'],
  ['Error reading file: open /a/b.yaml: permission denied', 'sops failed'],
  ['', 'sops failed'],
  // A gpg that has the key but cannot use it, or gives no reason, is not a missing key.
  [
    closed(unusable('Inappropriate ioctl for\n      | device'), lacking),
    'gpg failed',
    'Inappropriate ioctl for device',
  ],
  [closed(unusable('No pinentry'), lacking), 'gpg failed', 'No pinentry'],
  [
    closed("gpg: can't connect to the agent: IPC\n      | connect call failed", lacking),
    ...['gpg failed', "can't connect to the agent: IPC connect call failed"],
  ],
  [closed('', lacking), 'gpg failed', ''],
  // An age key that cannot be read is no missing key; one that is not for sops is none.
  [refused(loading, unopened, `/x: no such file. ${places}`), 'age failed', `${unopened} /x: no such file`],
  [refused(loading, malformed), 'age failed', malformed],
  [refused(loading, `failed to obtain public "x.pub" key for "x" SSH key: no. ${places}`), 'no key'],
  [refused(`failed to load age identities. ${places}`), 'no key'],
  [
    `Failed to get the data key\n    - | failed to ${kms.replace(' error', '\n      | error')}\n\nRecovery failed`,
    'service failed',
    kms,
  ],
];

test('the cause of a failure of sops is read from its own messages, unless it was killed', () => {
  for (const [stderr = '', ...cause] of causes) {
    const found: Partial<Record<string, string>> = readSopsFailure({ stderr, exitCode: 128, signal: null });
    assert.equal([found.kind, found.why].slice(0, cause.length), cause, stderr);
  }
  const stderr = 'MAC mismatch. File has 1, computed 2';
  for (const signal of ['SIGTERM', null] as const)
    assert.is(readSopsFailure({ stderr, exitCode: 143, signal }).kind, 'sops failed');
});

test.run();
