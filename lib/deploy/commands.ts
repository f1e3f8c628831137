import { providerOf } from '../cluster/providers.ts';
import { leftoverGlob } from '../ground/file-names.ts';
import { rollbackWords, takeBack } from '../helm/helm.ts';
import {
  atOnce,
  declaredRelease,
  declaredReleases,
  helmfileText,
  type Release,
  type Selection,
  selector,
  selectReleases,
} from '../helm/helmfile.ts';
import { routeCertificateCommands } from '../ingress/certificates.ts';
import { helmText, kubectlText } from '../kubernetes/kubectl.ts';
import type { InEnvironment, Target } from '../settings/context.ts';
import { vaultSelector } from '../vault/replicas.ts';

/* What is known about deployment tasks before they run: plain commands for `--dry-run`, and files to watch. */

type Input = Target & { readonly args: Selection; readonly passThrough: readonly string[] };

const helmfileCommands = async (input: Input, ...words: readonly string[]): Promise<readonly string[]> => [
  await helmfileText(input, ...selector(input.args), ...words, ...input.passThrough),
];

/** helmfile's option to include the needs of the selected releases. */
const needsOption = ({ args }: Input): readonly string[] =>
  selector(args).length > 0 ? ['--include-transitive-needs'] : [];

/** The helmfile call, and the certificates of the fronts that it installs. */
export async function installCommands(input: Input): Promise<readonly string[]> {
  const { installed } = await selectReleases(input, { ...input.args, withNeeds: true });
  const words = ['sync', ...atOnce, '--sync-args', takeBack.join(' '), ...needsOption(input)];
  return [
    ...(await helmfileCommands(input, ...words)),
    ...olderPodsCommands(input, installed),
    ...routeCertificateCommands(input, installed),
  ];
}

/** What shows the pods that helm does not replace, and what to do with them. */
const olderPodsCommands = ({ environment }: Target, releases: readonly Release[]): readonly string[] =>
  releases.some(({ name }) => name === 'vault') && providerOf(environment).servers === undefined
    ? [
        `${kubectlText(environment)} -n vault get pods -l ${vaultSelector} -L controller-revision-hash # delete those of an older revision one by one, the active one last; each is unsealed before the next`,
      ]
    : [];

export const diffCommands = (input: Input) =>
  helmfileCommands(input, 'diff', ...needsOption(input), '--suppress-secrets');

/**
 * helmfile's command to test releases. Skips the test of Vault's upstream chart: its pod has no security context, so
 * the namespace refuses it, and `status` checks the same.
 */
export const testWords = ['test', ...atOnce, '--args', '--filter=!name=vault-server-test'] as const;

export const testCommands = (input: Input) => helmfileCommands(input, ...testWords);

/** helmfile's command to uninstall releases. */
export const uninstallWords = ['destroy', ...atOnce] as const;

export const uninstallCommands = (input: Input) => helmfileCommands(input, ...uninstallWords);

export async function rollbackCommands(
  { environment }: InEnvironment,
  name: string,
  revision: number | undefined,
): Promise<readonly string[]> {
  const release = await declaredRelease(environment.root, name);
  const words = rollbackWords(release, revision, takeBack).join(' ');
  return [`${helmText(environment)} --namespace ${release.namespace} ${words}`];
}

/**
 * Globs of the files that an install of the selection depends on: helmfile.yaml, the environment's settings and
 * secrets, and the local charts of the releases and their needs.
 */
export async function watchedFiles(
  { environment, settings }: Target,
  selection: Selection,
): Promise<readonly string[]> {
  const releases = await declaredReleases(environment.root, { ...selection, withNeeds: true });
  const charts = releases.map(({ chart }) => {
    const [, setting] = /\.Values\.charts\.(\w+)\.chart/.exec(chart) ?? [];
    const places: { readonly [name: string]: { readonly chart: string } } = settings.charts;
    return setting === undefined ? chart : (places[setting]?.chart ?? '');
  });
  return [
    'helmfile.yaml',
    'environments/*.{yaml,gotmpl}',
    `environments/${environment.name}`,
    ...settings.include.map((file) => `environments/${file}`),
    ...new Set(charts.filter((chart) => chart.startsWith('./'))),
    `!${leftoverGlob}`,
  ];
}
