import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encryptionProblem, keysIn } from '../../../lib/secrets/key-parts.ts';
import { importCommands } from '../../../lib/secrets/keyring.ts';
import { keySource } from '../../../lib/secrets/operational-key.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { environmentIn, fails } from '../../rig/task-context.ts';

const key = (validity: string, expires: string, uses: string, sub = ''): string =>
  `pub:${validity}:3072:1:7971F8B9DCB2DC3C:1577836800:${expires}::-:::${uses}::::::23::0:
fpr:::::::::9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C:
uid:${validity}::::1577836800::A7E03B346243DFF155921D247E7084AFF5611542::e-mail: <a@b>::::::::::0:
${sub}`;

const part = (validity: string, expires: string, uses = 'e'): string =>
  `sub:${validity}:3072:1:10523AE52C17DD10:1577836800:${expires}:::::${uses}::::::23:
fpr:::::::::16BB85A2A93D4E4FDB1634EE10523AE52C17DD10:
`;

test('the reason why a key cannot encrypt has its date', () => {
  const past = '1609372800';
  const signs = 'no part of the key encrypts: it only signs';
  for (const [listing, reason] of [
    [key('-', '', 'scESC', part('-', ''))],
    // A newer part; one part for everything.
    [key('u', '', 'scESC', part('e', past) + part('u', ''))],
    [key('-', '', 'escESC')],
    [key('e', past, 'sc', part('e', '')), 'the key expired on 2020-12-31'],
    [key('r', '', 'sc', part('r', '')), 'the key was revoked'],
    [key('-', '', 'scESCD', part('-', '')), 'the key is disabled'],
    [key('-', '', 'scSC', part('e', past)), 'its part that encrypts expired on 2020-12-31'],
    [key('-', '', 'scSC', part('r', '')), 'its part that encrypts was revoked'],
    [key('-', '', 'scSC'), signs],
    [key('-', '', 'scSC', part('-', '', 'a')), signs],
  ] as [string, string?][])
    assert.equal(keysIn(listing).map(encryptionProblem), [reason]);
});

test('a listing may hold several keys, or none', () => {
  assert.equal(keysIn('gpg: no valid OpenPGP data found.\n'), []);
  const private_ = key('-', '', 'scESC', part('-', '')).replace('pub:', 'sec:').replace('sub:', 'ssb:');
  const fingerprint = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
  assert.equal(
    keysIn(private_ + key('-', '', 'scSC')).map((one) => [one.isPrivate, one.parts.length, one.fingerprint]),
    [true, false].map((isPrivate) => [isPrivate, isPrivate ? 2 : 1, fingerprint]),
  );
});

const target = (key: string) => ({
  environment: environmentIn('/project'),
  settings: { sops: { key } } as Settings,
});

test('a key in place of its path is refused, and not shown', async () => {
  const key = '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGsecret\n';
  const refused = async (place: string, setting: string) => {
    for (const run of [keySource, importCommands]) {
      const what = `${place} holds a key, not a path`;
      const error = await fails(() => run(target(setting)), { what, advice: /SOPS_PGP_KEY;/ });
      assert.not.match(JSON.stringify([error, error.message]), 'lQVY');
    }
  };
  for (const text of [key, key.replaceAll('\n', ' '), 'lQVYBGone\nlQVYBGtwo']) {
    process.env.SOPS_PGP_KEY_FILE = text;
    await refused('SOPS_PGP_KEY_FILE', 'own.asc').finally(() => {
      delete process.env.SOPS_PGP_KEY_FILE;
    });
    await refused('the setting sops.key', text);
  }
});

test('the setting may name a file of the home', () => {
  const source = keySource(target('~/keys/own.asc'));
  assert.is(source.kind === 'file' && source.path, join(homedir(), 'keys/own.asc'));
});

test.run();
