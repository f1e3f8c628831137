import { taskCommand } from '../../ground/launcher.ts';
import { TaskError } from '../../runner/runner.ts';
import { dataOf, type JsonObject, type VaultClient } from './client.ts';
import type { VaultKeys } from './keys-file.ts';
import { unreadable, VaultError } from './vault-error.ts';

/**
 * A new root token, made with the unseal keys (of a Vault that opens itself: the recovery keys). Whoever asks for it revokes
 * it. Throws `TaskError` when the keys do not suffice.
 */
export async function generateRootToken(client: VaultClient, keys: VaultKeys): Promise<string> {
  const shares = keys.recoveryKeys ?? keys.unsealKeys;
  if (shares.length === 0) throw notEnough(client, 'the keys are kept elsewhere');
  // An attempt that somebody left unfinished is in the way; the shares given to it are lost.
  await client.request('DELETE', 'sys/generate-root/attempt');
  const start = 'sys/generate-root/attempt';
  const attempt = (await client.request('PUT', start, { body: {} })).body;
  const password = attempt.otp;
  if (typeof password !== 'string' || typeof attempt.nonce !== 'string')
    throw unreadable(client.address, `PUT ${start}`, 'it holds no attempt');
  try {
    for (const key of shares) {
      const { body } = await client.request('PUT', 'sys/generate-root/update', {
        body: { key, nonce: attempt.nonce },
        secrets: [...shares, password],
        // The answer is a token that nobody could revoke without it.
        uninterruptible: true,
      });
      if (
        typeof body.complete !== 'boolean' ||
        (body.complete && typeof body.encoded_root_token !== 'string')
      )
        throw unreadable(client.address, 'PUT sys/generate-root/update', 'it does not say how far it is');
      if (body.complete) return decode(String(body.encoded_root_token), password);
    }
  } catch (error) {
    // Vault's answer to a key that does not fit; any other status is about Vault itself.
    if (!(error instanceof VaultError) || error.status !== 400) throw error;
    throw notEnough(client, error.errors.join('; ') || 'HTTP 400');
  }
  await client.request('DELETE', 'sys/generate-root/attempt');
  throw notEnough(client, `${shares.length} of the keys do not suffice`);
}

/** What Vault knows of the token, undefined when it does not know it. Throws `VaultError` when it cannot be asked. */
export async function lookUpToken(client: VaultClient, token: string): Promise<JsonObject | undefined> {
  const path = 'auth/token/lookup-self';
  const answer = await client.withToken(token).request('GET', path, { accept: [403], secrets: [token] });
  return answer.status === 403 ? undefined : dataOf(client.address, `GET ${path}`, answer);
}

/** Ends a token; one that Vault does not know any more is no error. Goes on when the run is interrupted. */
export async function revokeToken(client: VaultClient, token: string): Promise<void> {
  await client
    .withToken(token)
    .request('PUT', 'auth/token/revoke-self', { accept: [403], uninterruptible: true });
}

/** Vault gives the token XORed with the one-time password, in base64 without padding. */
function decode(encoded: string, password: string): string {
  const mask = Buffer.from(password);
  const bytes = Buffer.from(encoded, 'base64').map((byte, index) => byte ^ (mask[index] ?? 0));
  return Buffer.from(bytes).toString();
}

function notEnough(client: VaultClient, reason: string): TaskError {
  return new TaskError({
    what: `Vault at ${client.address} gives no root token, which is needed to set up the one of init-vault`,
    why: reason,
    advice: `whoever has the keys runs \`vault operator generate-root\`; put the token into the keys file as \`root_token\` and run ${taskCommand('init-vault')}, which revokes it`,
  });
}
