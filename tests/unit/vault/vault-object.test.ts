import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { differingNames } from '../../../lib/vault/api/vault-object.ts';

test('lists differ by what is in them, not by their order, which Vault does not keep', () => {
  assert.is(differingNames([['policies', ['b', 'a'], ['a', 'b']]]), undefined);
  assert.is(
    differingNames([
      ['policies', ['a'], ['a', 'b']],
      ['ttl', 60, 60],
      ['type', 'kv', 'pki'],
    ]),
    'policies, type',
  );
});

test.run();
