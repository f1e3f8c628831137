import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { parseEncrypted, readEncrypted } from '../../../lib/secrets/encrypted-file.ts';
import { findPrivateKeys, keyMarks, longestLine, secretForms } from '../../../lib/secrets/leaks.ts';
import { fails } from '../../rig/task-context.ts';

const test = suite('what is secret');

const isSeen = (text: string, value: string): boolean =>
  secretForms(value).some((form) => text.includes(form.text));

test('a value is recognised in base64 at any offset', () => {
  const value = 'p4ssw0rd/of+someöne';
  for (const before of ['', 'a', 'ab', 'abc', 'user:']) {
    for (const after of ['', 'x', 'xy', '\n']) {
      const text = Buffer.from(before + value + after).toString('base64');
      assert.ok(isSeen(`"${text}"`, value), `${before}…${after}`);
    }
  }
  assert.ok(isSeen(`postgres://me:${encodeURIComponent(value)}@host/`, value));
  assert.not.ok(isSeen(Buffer.from('p4ssw0rd/of+somebody').toString('base64'), value));
});

test('values in plain text are found, and a damaged file is named without its content', async () => {
  const text = 'a: ENC[AES256_GCM,data:x,type:str]\nb: plain\nc: [ENC, ""]\nsops:\n  pgp: [{ fp: ab cd }]\n';
  const found = await parseEncrypted(text);
  assert.equal(found?.recipients, ['ABCD']);
  assert.equal(found?.plain, [['b'], ['c', '0']]);
  assert.is(found?.values.length, 4);
  const folder = temporaryFolder();
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

test('git looks for the longest line of a value', () => {
  for (const text of ['ab\nlonger\nc\n', '\nlonger', 'longer']) assert.is(longestLine(text), 'longer');
});

test('each key has a mark to look for', () => {
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
