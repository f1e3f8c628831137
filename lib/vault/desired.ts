import { join } from 'node:path';
import type { Environment } from '../settings/environment.ts';
import type { Settings } from '../settings/settings.ts';
import type { DesiredState } from './api/desired-state.ts';
import { loadDesiredState } from './api/state.ts';

/** Where an environment keeps the keys of its Vault. */
export const keysPath = ({ state }: Pick<Environment, 'state'>): string => join(state, 'vault', 'keys.json');

/** What the Vault of every environment is to hold, as kept under `vault/`. */
export const desiredState = ({ root }: Pick<Environment, 'root'>): Promise<DesiredState> =>
  loadDesiredState(join(root, 'vault'));

/** The settings with Vault's address of PostgreSQL; `known` are those of a cluster still to be created. */
export function vaultSettings(loaded: Settings, known: Partial<Settings['vault']> = {}): Settings {
  const vault = { ...loaded.vault, ...known };
  const { host, port } = loaded.database;
  return { ...loaded, vault: { ...vault, databaseAddress: vault.databaseAddress || `${host}:${port}` } };
}

/** The API server for a Vault in a pod. */
export const inClusterApi = { host: 'https://kubernetes.default.svc' };

/** The kubectl command that prints a token for Vault's review of other tokens. */
export const reviewerTokenWords = '-n kube-system create token vault-token-reviewer --duration 8760h'.split(
  ' ',
);
