import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encryptionProblem, keysIn } from '../../../lib/secrets/key-parts.ts';

const test = suite('keys as gpg lists them');

const key = (validity: string, expires: string, uses: string, sub = ''): string =>
  `pub:${validity}:3072:1:7971F8B9DCB2DC3C:1577836800:${expires}::-:::${uses}::::::23::0:
fpr:::::::::9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C:
uid:${validity}::::1577836800::A7E03B346243DFF155921D247E7084AFF5611542::e-mail: <a@b>::::::::::0:
${sub}`;

const part = (validity: string, expires: string, uses = 'e'): string =>
  `sub:${validity}:3072:1:10523AE52C17DD10:1577836800:${expires}:::::${uses}::::::23:
fpr:::::::::16BB85A2A93D4E4FDB1634EE10523AE52C17DD10:
`;

const problem = (listing: string): string | undefined => {
  const [found, ...others] = keysIn(listing);
  assert.ok(found !== undefined && others.length === 0);
  return encryptionProblem(found);
};

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
    assert.is(problem(listing), reason);
});

test('a listing may hold several keys, or none', () => {
  assert.equal(keysIn(''), []);
  assert.equal(keysIn('gpg: no valid OpenPGP data found.\n'), []);
  const private_ = key('-', '', 'scESC', part('-', '')).replace('pub:', 'sec:').replace('sub:', 'ssb:');
  const found = keysIn(private_ + key('-', '', 'scSC'));
  assert.equal(
    found.map(({ isPrivate, parts }) => [isPrivate, parts.length]),
    [
      [true, 2],
      [false, 1],
    ],
  );
  assert.is(found[0]?.fingerprint, '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C');
});

test.run();
