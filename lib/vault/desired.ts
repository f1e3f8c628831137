import { join } from 'node:path';
import type { Environment, Settings } from '../settings/context.ts';
import { loadDesiredState } from './api/state.ts';

/** Path of digests of the secrets that Vault does not show, as it was given them. */
export const writtenPath = ({ state }: Pick<Environment, 'state'>) => join(state, 'vault', 'written.sha256');

/** Vault's desired state, which is the same in every environment. */
export const desiredState = ({ root }: Pick<Environment, 'root'>) => loadDesiredState(join(root, 'vault'));

/** Settings with PostgreSQL's address as Vault sees it; `known` is for a cluster that is still to be created. */
export function vaultSettings(loaded: Settings, known: Partial<Settings['vault']> = {}): Settings {
  const vault = { ...loaded.vault, ...known };
  const { host, port } = loaded.database;
  return { ...loaded, vault: { ...vault, databaseAddress: vault.databaseAddress || `${host}:${port}` } };
}

/** The API server for a Vault in a pod. */
export const inClusterApi = { host: 'https://kubernetes.default.svc' };

const reviewer = ['vault-token-reviewer', '-n', 'kube-system'];

/** kubectl's arguments to print a token with which Vault reviews others, and the uid of its account. */
export const reviewerWords = {
  token: ['create', 'token', ...reviewer, '--duration', '8760h'],
  uid: ['get', 'serviceaccount', ...reviewer, '-o', 'jsonpath={.metadata.uid}'],
};
