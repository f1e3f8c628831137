import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import type { Tree } from '../../ground/tree.ts';
import { dataOf, type JsonObject, objectOf, type VaultClient } from './client.ts';
import { auditObject, type ConvergeInput, convergeAll, policyObject } from './converge.ts';
import { type KeysPlace, replaceKeys, type VaultKeys } from './keys-file.ts';
import { requireKeys } from './replica.ts';
import type { DesiredState } from './state-schema.ts';
import { KeysError, unreadable, VaultError } from './vault-error.ts';
import { differenceOf } from './vault-object.ts';

type OperatorInput = Pick<ConvergeInput, 'client' | 'state' | 'signal' | 'onChange'> & {
  readonly keysPlace: KeysPlace;
  readonly settings: Tree;
};

/**
 * The token with exactly the rights of `init-vault`, renewed for its period. If it is missing or invalid, or its
 * policy differs, a root token repairs it: that of a new Vault, or one generated with the unseal keys, revoked before
 * this returns or throws.
 */
export async function operatorToken(input: OperatorInput): Promise<string> {
  const { client, keysPlace, state } = input;
  const keys = await requireKeys(client, keysPlace);
  const { admin_token: known, root_token: left } = keys;
  const serves = known !== undefined && (await isOperators(client, known, state.operator));
  let token = serves ? known : undefined;
  if (token === undefined || !(await policyIsRight(client.withToken(token), state)))
    token = await setUp(input, keys, token);
  else if (left !== undefined) await endRoot(client, keysPlace, left);
  await client.withToken(token).write('auth/token/renew-self', {});
  return token;
}

/**
 * Repairs the policy with a root token, and the token unless one serves. The audit log comes first, to log the rest.
 * Returns the token.
 */
async function setUp(input: OperatorInput, keys: VaultKeys, serving: string | undefined): Promise<string> {
  const { client, keysPlace, state, settings } = input;
  const root = await rootToken(client, keysPlace);
  try {
    const withRoot = client.withToken(root);
    const devices = state.audit.map((device) => auditObject(withRoot, device, settings));
    await convergeAll([...devices, policyObject(withRoot, state.operator.policy)], input);
    if (serving !== undefined) return serving;
    if (keys.admin_token !== undefined) await revokeToken(client, keys.admin_token);
    const token = await createToken(withRoot, state.operator);
    await replaceKeys(keysPlace, { ...keys, admin_token: token, root_token: root });
    const difference = keys.admin_token === undefined ? 'missing' : 'no longer valid';
    input.onChange({ kind: 'token', path: state.operator.policy.name, difference });
    return token;
  } finally {
    await endRoot(client, keysPlace, root);
  }
}

/** The keys file's root token if still valid; otherwise a new one, stored there for the next run to revoke. */
export async function rootToken(client: VaultClient, place: KeysPlace): Promise<string> {
  const keys = await requireKeys(client, place);
  if (keys.root_token !== undefined && (await lookUpToken(client, keys.root_token))) return keys.root_token;
  const root = await generateRootToken(client, keys);
  await replaceKeys(place, { ...keys, root_token: root });
  return root;
}

/** Revokes a root token and removes it from the keys file. */
export async function endRoot(client: VaultClient, place: KeysPlace, root: string): Promise<void> {
  await revokeToken(client, root);
  const { root_token, ...rest } = await requireKeys(client, place);
  if (root_token !== undefined) await replaceKeys(place, rest);
}

/** Creates an orphan token: others are revoked with the root token that created them. */
async function createToken(client: VaultClient, { policy, period }: DesiredState['operator']) {
  const properties = { policies: [policy.name], no_default_policy: true, period: `${period}s` };
  const { body } = await client.request('POST', 'auth/token/create-orphan', {
    body: { ...properties, display_name: 'init-vault' },
    uninterruptible: true,
  });
  const token = objectOf(body.auth)?.client_token;
  if (typeof token === 'string') return token;
  throw new TaskError({ what: `Vault at ${client.address} returned no token for init-vault` });
}

/** True if the token is valid and has exactly the operator's policy and period. */
async function isOperators(client: VaultClient, token: string, operator: DesiredState['operator']) {
  const found = await lookUpToken(client, token);
  if (found === undefined) return false;
  return String(found.policies) === operator.policy.name && found.period === operator.period;
}

async function policyIsRight(client: VaultClient, { operator }: DesiredState): Promise<boolean> {
  try {
    return (await differenceOf(policyObject(client, operator.policy))) === undefined;
  } catch (error) {
    if (error instanceof VaultError && error.status === 403) return false;
    throw error;
  }
}

/**
 * Generates a root token with the unseal keys, or with the recovery keys under auto-unseal. The caller revokes it.
 * Throws `KeysError` if the keys do not suffice.
 */
export async function generateRootToken(client: VaultClient, keys: VaultKeys): Promise<string> {
  const shares = keys.recovery_keys_b64 ?? keys.unseal_keys_b64;
  if (shares.length === 0) throw noRootToken(client, 'the keys are kept elsewhere');
  const path = 'sys/generate-root/attempt';
  // An unfinished attempt blocks a new one, and its shares are lost.
  await client.request('DELETE', path).catch((error: unknown) => {
    if (!(error instanceof VaultError) || error.status !== 403) throw error;
    const why = `it wants a token for that, as Vault 2 does by default: ${error.why}`;
    const setting = 'enable_unauthenticated_access = ["generate-root"]';
    const advice = `add \`${setting}\` to its configuration, as environments/common.yaml has it, then run again`;
    throw noRootToken(client, why, advice);
  });
  const { nonce, otp: password } = (await client.request('PUT', path, { body: {} })).body;
  if (typeof password !== 'string' || typeof nonce !== 'string')
    throw unreadable(client.address, `PUT ${path}`, 'it has no attempt');
  try {
    for (const key of shares) {
      const { body } = await client.request('PUT', 'sys/generate-root/update', {
        body: { key, nonce },
        secrets: [...shares, password],
        // Without this answer, the token could not be revoked.
        uninterruptible: true,
      });
      const { complete, encoded_root_token: encoded } = body;
      if (typeof complete !== 'boolean' || (complete && typeof encoded !== 'string'))
        throw unreadable(client.address, 'PUT sys/generate-root/update', 'it does not say if it is complete');
      if (complete) return decode(String(encoded), password);
    }
  } catch (error) {
    // Vault's answer to a wrong key; any other status is about Vault itself.
    if (!(error instanceof VaultError) || error.status !== 400) throw error;
    throw noRootToken(client, error.why);
  }
  await client.request('DELETE', path);
  throw noRootToken(client, `${shares.length} of the keys do not suffice`);
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

function noRootToken(
  { address }: VaultClient,
  why: string | undefined,
  advice = `whoever has the keys runs \`vault operator generate-root\`; put the token into the keys file as \`root_token\` and run ${taskCommand('init-vault')}, which revokes it`,
): KeysError {
  const what = `Vault at ${address} generates no root token, which is needed to set up the token of init-vault`;
  return new KeysError({ what, why, advice });
}
