import type { Release } from '../helm/helmfile.ts';

/** Releases of one tier or app; all of them without either. */
export type Selection = { readonly tier?: string | undefined; readonly app?: string | undefined };

export const selectsRelease = (selection: Selection) => (release: Release) =>
  (selection.tier === undefined || release.tier === selection.tier) &&
  (selection.app === undefined || release.app === selection.app);

/** `-l` options of a selection; none for everything. */
export const selector = ({ tier, app }: Selection): readonly string[] =>
  tier !== undefined ? ['-l', `tier=${tier}`] : app !== undefined ? ['-l', `app=${app}`] : [];

/**
 * helmfile's arguments for the helm tests of a selection. The test of Vault's upstream chart is skipped: its pod has no security context, so the
 * namespace refuses it, and it only checks whether Vault answers, as `status` does.
 */
export const testWords = (selection: Selection, passThrough: readonly string[]): readonly string[] => [
  ...selector(selection),
  ...['test', '--args', '--filter=!name=vault-server-test'],
  ...passThrough,
];

/** helmfile's arguments to uninstall a selection. */
export const uninstallWords = (selection: Selection, passThrough: readonly string[]): readonly string[] => [
  ...selector(selection),
  'destroy',
  ...passThrough,
];

export const names = (releases: readonly Release[]): string => releases.map(({ name }) => name).join(', ');
