import type { Release } from '../helm/helmfile.ts';

/** Releases of one tier or app; all of them without either. */
export type Selection = { readonly tier?: string | undefined; readonly app?: string | undefined };

export const selectsRelease = (selection: Selection) => (release: Release) =>
  (selection.tier === undefined || release.tier === selection.tier) &&
  (selection.app === undefined || release.app === selection.app);

/** `-l` arguments of a selection; none for everything. */
export const selector = (selection: Selection): readonly string[] =>
  selection.tier !== undefined
    ? ['-l', `tier=${selection.tier}`]
    : selection.app !== undefined
      ? ['-l', `app=${selection.app}`]
      : [];

/**
 * helmfile's words for the helm tests. That of Vault's upstream chart is left out: its pod has no security context, so the
 * namespace refuses it, and it only looks whether Vault answers, which `status` does.
 */
export const testWords = ['test', '--args', '--filter=!name=vault-server-test'] as const;
