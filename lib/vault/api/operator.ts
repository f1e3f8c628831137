import { TaskError } from '@k8s-deployment/runner';
import type { Tree } from '../../ground/tree.ts';
import { objectOf, type VaultClient } from './client.ts';
import { type ConvergeInput, convergeAll } from './converge.ts';
import type { DesiredState } from './desired-state.ts';
import { type KeysPlace, replaceKeys, textsOfKeys, type VaultKeys } from './keys-file.ts';
import { auditObject } from './mounts.ts';
import { policyObject } from './policies.ts';
import { requireKeys } from './replica.ts';
import { generateRootToken, lookUpToken, revokeToken } from './root-token.ts';
import { VaultError } from './vault-error.ts';
import { differenceOf } from './vault-object.ts';

export type OperatorInput = Pick<ConvergeInput, 'client' | 'state' | 'signal' | 'onChange'> & {
  readonly keysPath: KeysPlace;
  readonly settings: Tree;
  /** Called with each secret before it is used. */
  readonly secret: (text: string) => void;
};

/**
 * The token with exactly the rights of `init-vault`, renewed for its period. If it is missing or invalid, or its
 * policy differs, a root token repairs it: that of a new Vault, or one generated with the unseal keys, revoked before
 * this returns or throws.
 */
export async function operatorToken(input: OperatorInput): Promise<string> {
  const { client, keysPath, state, secret } = input;
  const keys = await requireKeys(client, keysPath);
  for (const text of textsOfKeys(keys)) secret(text);
  const known = keys.admin_token;
  const serves = known !== undefined && (await isOperators(client, known, state.operator));
  if (!serves || !(await policyIsRight(client.withToken(known), state))) await setUp(input, keys, serves);
  const { admin_token: adminToken, root_token: left } = await requireKeys(client, keysPath);
  if (left !== undefined) await endRoot(input, left);
  if (adminToken === undefined) throw new Error('Expected a token of the operator in the keys file');
  await client.withToken(adminToken).write('auth/token/renew-self', {});
  return adminToken;
}

/** Repairs the token with a root token; the audit log comes first, to log the rest. `serves`: only its policy differs. */
async function setUp(input: OperatorInput, keys: VaultKeys, serves: boolean): Promise<void> {
  const { client, keysPath, state, settings, secret } = input;
  const root = await rootToken(input, keys);
  try {
    const withRoot = client.withToken(root);
    await convergeAll(
      [
        ...state.audit.map((device) => auditObject(withRoot, device, settings)),
        policyObject(withRoot, state.operator.policy),
      ],
      input,
    );
    if (serves) return;
    if (keys.admin_token !== undefined) await revokeToken(client, keys.admin_token);
    const adminToken = await createToken(withRoot, state.operator);
    secret(adminToken);
    await replaceKeys(keysPath, { ...keys, admin_token: adminToken, root_token: root });
    input.onChange({
      kind: 'token',
      path: state.operator.policy.name,
      outcome: 'changed',
      difference: keys.admin_token === undefined ? 'missing' : 'no longer valid',
    });
  } finally {
    await endRoot(input, root);
  }
}

type RootInput = Pick<OperatorInput, 'client' | 'keysPath' | 'secret'>;

/** The keys file's root token if still valid; otherwise a new one, stored there for the next run to revoke. */
export async function rootToken({ client, keysPath, secret }: RootInput, keys: VaultKeys): Promise<string> {
  if (keys.root_token !== undefined && (await lookUpToken(client, keys.root_token))) return keys.root_token;
  const root = await generateRootToken(client, keys);
  secret(root);
  await replaceKeys(keysPath, { ...keys, root_token: root });
  return root;
}

/** Revokes a root token and removes it from the keys file. */
export async function endRoot({ client, keysPath }: RootInput, root: string): Promise<void> {
  await revokeToken(client, root);
  const { root_token, ...rest } = await requireKeys(client, keysPath);
  if (root_token !== undefined) await replaceKeys(keysPath, rest);
}

/** Creates an orphan token: others are revoked with the root token that created them. */
async function createToken(client: VaultClient, { policy, period }: DesiredState['operator']) {
  const { body } = await client.request('POST', 'auth/token/create-orphan', {
    body: {
      policies: [policy.name],
      no_default_policy: true,
      period: `${period}s`,
      display_name: 'init-vault',
    },
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
