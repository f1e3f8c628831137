import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import { type JsonObject, objectOf, type VaultClient } from './client.ts';
import { type KeysPlace, readKeys, type VaultKeys } from './keys-file.ts';
import { KeysError, unreadable, VaultError } from './vault-error.ts';

/** A server of Vault: the only one, or one of several with shared raft data. */
export type Replica = {
  /** Name of its pod. */
  readonly name: string;
  readonly client: VaultClient;
};

export type OpenVaultInput = {
  /** At least one. A new Vault is initialised on the first; the others join it. */
  readonly replicas: readonly Replica[];
  /** Names of the replicas that do not run, and may hold data. */
  readonly absent?: readonly string[];
  readonly keysPlace: KeysPlace;
  readonly signal?: AbortSignal;
};

export type SealStatus = JsonObject & { readonly initialized: boolean; readonly sealed: boolean };

/** The answer of `GET sys/seal-status`, which needs no token: `initialized`, `sealed`, `version`, … */
export async function sealStatus(client: VaultClient): Promise<SealStatus> {
  const { body } = await client.request('GET', 'sys/seal-status');
  if (typeof body.initialized === 'boolean' && typeof body.sealed === 'boolean') return body as SealStatus;
  throw unreadable(
    client.address,
    'GET sys/seal-status',
    'it does not say whether Vault is initialised and sealed',
  );
}

/** A replica with what it says about itself; undefined without an answer. */
export type Member = Replica & { readonly state: Membership | undefined };

type Membership = Awaited<ReturnType<typeof membershipOf>>;

/** Any state of Vault is an answer, not an error. */
const healthPath =
  'sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&haunhealthycode=200';

/**
 * What a replica says about itself, without a token. `autoUnseal`: a key service unseals it. `joined`: it is active, or
 * follows the active replica, which speaks only to members. `index`: that of the last entry of raft that it has; of the
 * active one, of the last that all agreed on; 0 without raft. Throws `VaultError` if it does not answer.
 */
export async function membershipOf(client: VaultClient) {
  const { initialized, sealed, recovery_seal: recovery } = await sealStatus(client);
  const states = { initialized, sealed, autoUnseal: recovery === true };
  if (sealed || !initialized) return { ...states, active: false, joined: false, index: 0 };
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

export const membersOf = (replicas: readonly Replica[]): Promise<Member[]> =>
  Promise.all(
    replicas.map(async (replica) => {
      const state = await membershipOf(replica.client).catch((error: unknown) => {
        if (!(error instanceof VaultError)) throw error;
        return undefined;
      });
      return { ...replica, state };
    }),
  );

/** The members, once all serve or after `waitMs` milliseconds; `why` one does not, with the same sent to `onWait`. */
export async function awaitServing(
  replicas: readonly Replica[],
  waitMs: number,
  signal?: AbortSignal,
  onWait?: (text: string) => void,
) {
  let members: readonly (Member & { readonly why: string | undefined })[] = [];
  let agreed = 0;
  const all = async () => {
    const found = await membersOf(replicas);
    // Later entries may be under way.
    agreed ||= found.find(({ state }) => state?.active)?.state?.index ?? 0;
    members = found.map((member) => ({ ...member, why: whyIdle(member.state, agreed) }));
    const late = members.find(({ why }) => why !== undefined);
    if (late !== undefined) onWait?.(`waiting for ${late.name}: ${late.why}`);
    return late === undefined || undefined;
  };
  await poll(all, waitMs, signal);
  return members;
}

/** Why a replica does not serve; undefined if it does. `agreed`: an entry that it must have. */
function whyIdle(state: Membership | undefined, agreed: number): string | undefined {
  if (state === undefined) return 'Vault does not answer';
  if (!state.initialized) return 'it has not joined the others';
  if (state.sealed) return 'it is sealed';
  if (!state.joined) return 'it follows no active replica';
  return state.index < agreed ? 'its data are behind' : undefined;
}

/** Makes another replica the active one. Throws `VaultError`, with status 403 if the token may not. */
export const stepDown = async (active: VaultClient): Promise<void> => {
  await active.request('PUT', 'sys/step-down', { body: {} });
};

/** The keys of this Vault. Throws `KeysError` if there are none. */
export async function requireKeys(client: VaultClient, place: KeysPlace): Promise<VaultKeys> {
  const keys = await readKeys(place);
  if (keys !== undefined) return keys;
  throw new KeysError({
    what: `Vault at ${client.address} is initialised, but its keys are not in ${place.name}`,
    why: 'Vault shows its keys only once; without them its data cannot be read',
    advice: `${place.encrypted === undefined ? 'restore the file from a copy' : 'get the file from whoever initialised Vault (git pull)'}, or start over: ${taskCommand('destroy-environment')}, then ${taskCommand('create-environment')}`,
  });
}
