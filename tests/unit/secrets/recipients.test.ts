import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSopsFailure } from '../../../lib/secrets/explain.ts';
import { isFingerprint, recipientsIn } from '../../../lib/secrets/recipients.ts';

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

test('the answer of a key service is the reason; a missing key is none', () => {
  const output = (stderr: string) => ({ exitCode: 128, signal: null, stdout: '', stderr });
  const failed = `Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  ${arn}: FAILED
    - | failed to decrypt sops data key with AWS KMS: operation
      | error KMS: Decrypt, AccessDeniedException
`;
  assert.equal(readSopsFailure(output(failed)), {
    kind: 'service failed',
    why: 'decrypt sops data key with AWS KMS: operation error KMS: Decrypt, AccessDeniedException',
  });
  assert.is(readSopsFailure(output('Failed to get the data key')).kind, 'no key');
});

test.run();
