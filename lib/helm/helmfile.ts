import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { shellWords } from '../ground/shell-words.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { howToRestore } from '../secrets/how-to-restore.ts';
import type { Target } from '../settings/context.ts';
import { settingsFiles } from '../settings/settings.ts';
import { chartArgumentsText, needsRepositories } from './chart-places.ts';

/** A release of `helmfile.yaml`. */
export type Release = {
  readonly name: string;
  readonly namespace: string;
  /** A path in the project, or a template of a setting. */
  readonly chart: string;
  readonly tier: string;
  readonly app: string;
  /** Names of releases, without namespace. */
  readonly needs: readonly string[];
  /** Seconds. */
  readonly timeout: number;
  /** True if the release contains its own namespace, which has to exist before. */
  readonly createNamespace?: boolean;
};

type Declared = {
  readonly helmDefaults?: { readonly timeout?: number };
  readonly releases: readonly (Pick<Release, 'name' | 'namespace' | 'chart' | 'createNamespace'> &
    Partial<Pick<Release, 'needs' | 'timeout'>> & { readonly labels: Pick<Release, 'tier' | 'app'> })[];
};

let last: { readonly text: string; readonly declared: Declared } | undefined;

/** The releases of helmfile.yaml in order. It is plain YAML, so that it can be read without helmfile. */
export async function declaredReleases(root: string): Promise<readonly Release[]> {
  const text = await readFile(join(root, 'helmfile.yaml'), 'utf8').catch(async (error: Error) => {
    throw new TaskError({
      what: 'helmfile.yaml cannot be read',
      why: error.message,
      advice: await howToRestore(root, 'helmfile.yaml'),
    });
  });
  if (text !== last?.text)
    last = { text, declared: (await readStrictYaml(text, 'helmfile.yaml')).value as Declared };
  const { declared } = last;
  return declared.releases.map((release) => ({
    name: release.name,
    namespace: release.namespace,
    chart: release.chart,
    tier: release.labels.tier,
    app: release.labels.app,
    needs: (release.needs ?? []).map((need) => need.split('/').at(-1) ?? need),
    timeout: release.timeout ?? declared.helmDefaults?.timeout ?? 300,
    createNamespace: release.createNamespace ?? false,
  }));
}

/** The release with this name, which was checked before. */
export async function declaredRelease(root: string, name: string): Promise<Release> {
  const release = (await declaredReleases(root)).find((candidate) => candidate.name === name);
  if (release === undefined) throw new Error(`helmfile.yaml has no release ${name} any more`);
  return release;
}

/** Distinct names, apps or tiers of the releases. */
export const declaredValues = async (root: string, field: 'name' | 'app' | 'tier'): Promise<string[]> => [
  ...new Set((await declaredReleases(root)).map((release) => release[field])),
];

/** Selects releases by tier or app, or all. */
export type Selection = { readonly tier?: string | undefined; readonly app?: string | undefined };

/** The selected releases, on demand with everything they need, in the order of the file. */
export async function selectedReleases(
  root: string,
  { tier, app }: Selection,
  needs: 'alone' | 'with-needs' = 'alone',
): Promise<readonly Release[]> {
  const releases = await declaredReleases(root);
  const wanted = new Set(
    releases.filter((one) => one.tier === (tier ?? one.tier) && one.app === (app ?? one.app)),
  );
  if (needs === 'alone') return [...wanted];
  // Sets can grow while they are iterated.
  for (const { needs } of wanted)
    for (const release of releases) if (needs.includes(release.name)) wanted.add(release);
  return releases.filter((release) => wanted.has(release));
}

/** helmfile's `-l` options for a selection; none for all. */
export const selector = ({ tier, app }: Selection): readonly string[] =>
  tier !== undefined ? ['-l', `tier=${tier}`] : app !== undefined ? ['-l', `app=${app}`] : [];

/** The names of releases for a sentence. */
export const namesText = (releases: readonly Pick<Release, 'name'>[]): string =>
  releases.map(({ name }) => name).join(', ');

/** The words of every helmfile call, with kubeconfig, context and values; it runs in the project's folder. */
export async function helmfileCommand(
  { environment, settings }: Target,
  kubeconfig: string = environment.kubeconfig,
): Promise<string[]> {
  const { name, provider, root, context } = environment;
  const files = await settingsFiles(name, provider, root);
  return [
    ...['helmfile', '--kubeconfig', kubeconfig, '--kube-context', context],
    ...files.flatMap((file) => ['--state-values-file', file]),
    // As a string, since the name may be 1234 or true.
    ...['--state-values-set-string', `environment=${name}`],
    // With local charts only, no chart repository is contacted.
    ...(needsRepositories(settings) ? [] : ['--skip-deps']),
  ];
}

/** A call as text with relative paths, for `--dry-run`. */
export async function helmfileText(target: Target, ...args: readonly string[]): Promise<string> {
  const words = await helmfileCommand(target, `.state/${target.environment.name}/kubeconfig`);
  return [shellWords(words), ...chartArgumentsText(target.settings), shellWords(args)].join(' ');
}
