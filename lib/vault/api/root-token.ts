import { taskCommand } from '../../ground/launcher.ts';
import { dataOf, type JsonObject, type VaultClient } from './client.ts';
import type { VaultKeys } from './keys-file.ts';
import { KeysError, unreadable, VaultError } from './vault-error.ts';

/**
 * Generates a root token with the unseal keys, or with the recovery keys under auto-unseal. The caller revokes it.
 * Throws `KeysError` if the keys do not suffice.
 */
export async function generateRootToken(client: VaultClient, keys: VaultKeys): Promise<string> {
  const shares = keys.recovery_keys_b64 ?? keys.unseal_keys_b64;
  if (shares.length === 0) throw notEnough(client, 'the keys are kept elsewhere');
  // An unfinished attempt blocks a new one, and its shares are lost.
  await client.request('DELETE', 'sys/generate-root/attempt').catch((error: unknown) => {
    throw error instanceof VaultError && error.status === 403 ? closed(client, error) : error;
  });
  const start = 'sys/generate-root/attempt';
  const attempt = (await client.request('PUT', start, { body: {} })).body;
  const password = attempt.otp;
  if (typeof password !== 'string' || typeof attempt.nonce !== 'string')
    throw unreadable(client.address, `PUT ${start}`, 'it has no attempt');
  try {
    for (const key of shares) {
      const { body } = await client.request('PUT', 'sys/generate-root/update', {
        body: { key, nonce: attempt.nonce },
        secrets: [...shares, password],
        // Without this answer, the token could not be revoked.
        uninterruptible: true,
      });
      if (
        typeof body.complete !== 'boolean' ||
        (body.complete && typeof body.encoded_root_token !== 'string')
      )
        throw unreadable(client.address, 'PUT sys/generate-root/update', 'it does not say if it is complete');
      if (body.complete) return decode(String(body.encoded_root_token), password);
    }
  } catch (error) {
    // Vault's answer to a wrong key; any other status is about Vault itself.
    if (!(error instanceof VaultError) || error.status !== 400) throw error;
    throw notEnough(client, error.errors.join('; ') || 'HTTP 400');
  }
  await client.request('DELETE', 'sys/generate-root/attempt');
  throw notEnough(client, `${shares.length} of the keys do not suffice`);
}

/** The properties of a token; undefined if it is invalid. Throws `VaultError` if Vault does not say. */
export async function lookUpToken(client: VaultClient, token: string): Promise<JsonObject | undefined> {
  const path = 'auth/token/lookup-self';
  const answer = await client.withToken(token).request('GET', path, { accept: [403], secrets: [token] });
  return answer.status === 403 ? undefined : dataOf(client.address, `GET ${path}`, answer);
}

/** Revokes a token, even if the run is interrupted; an invalid one is not an error. */
export async function revokeToken(client: VaultClient, token: string): Promise<void> {
  await client
    .withToken(token)
    .request('PUT', 'auth/token/revoke-self', { accept: [403], uninterruptible: true });
}

/** Vault returns the token XORed with the one-time password, in unpadded base64. */
function decode(encoded: string, password: string): string {
  const mask = Buffer.from(password);
  const bytes = Buffer.from(encoded, 'base64').map((byte, index) => byte ^ (mask[index] ?? 0));
  return Buffer.from(bytes).toString();
}

const noRootToken = ({ address }: VaultClient): string =>
  `Vault at ${address} generates no root token, which is needed to set up the token of init-vault`;

function closed(client: VaultClient, { why }: VaultError): KeysError {
  return new KeysError({
    what: noRootToken(client),
    why: `it wants a token for that, as Vault 2 does by default: ${why}`,
    advice:
      'add `enable_unauthenticated_access = ["generate-root"]` to its configuration, as environments/common.yaml has it, then run again',
  });
}

function notEnough(client: VaultClient, reason: string): KeysError {
  return new KeysError({
    what: noRootToken(client),
    why: reason,
    advice: `whoever has the keys runs \`vault operator generate-root\`; put the token into the keys file as \`root_token\` and run ${taskCommand('init-vault')}, which revokes it`,
  });
}
