import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { parseEncrypted, readEncrypted } from '../../../lib/secrets/encrypted-file.ts';
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

test.run();
