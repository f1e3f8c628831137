import { objectOf, type VaultClient } from './client.ts';
import { sealStatus } from './replica.ts';

/** What a replica says about itself, without a token. */
export type Membership = {
  readonly initialized: boolean;
  readonly sealed: boolean;
  /** True if a key service unseals it. */
  readonly autoUnseal: boolean;
  readonly active: boolean;
  /** True if it is active or follows the active replica, which speaks only to members. */
  readonly joined: boolean;
  /** Index of the last entry of raft that it has; of the active one, of the last that all agreed on. 0 without raft. */
  readonly index: number;
};

/** Any state of Vault is an answer, not an error. */
const healthPath =
  'sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&haunhealthycode=200';

/** Reads what a replica says. Throws `VaultError` if it does not answer. */
export async function membershipOf(client: VaultClient): Promise<Membership> {
  const { initialized, sealed, recovery_seal: recovery } = await sealStatus(client);
  const states = {
    initialized: initialized === true,
    sealed: sealed === true,
    autoUnseal: recovery === true,
  };
  if (states.sealed || !states.initialized) return { ...states, active: false, joined: false, index: 0 };
  const [health, leader] = await Promise.all([
    client.request('GET', healthPath),
    client.request('GET', 'sys/leader'),
  ]);
  const active = objectOf(health.body)?.standby === false;
  const { leader_address: address, raft_applied_index: applied, raft_committed_index: agreed } = leader.body;
  const index = active ? agreed : applied;
  return {
    ...states,
    active,
    joined: active || (typeof address === 'string' && address !== ''),
    index: typeof index === 'number' ? index : 0,
  };
}

/** Makes another replica the active one. Throws `VaultError`, with status 403 if the token may not. */
export const stepDown = async (active: VaultClient): Promise<void> => {
  await active.request('PUT', 'sys/step-down', { body: {} });
};
