import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../ground/project.ts';
import { shellWords } from '../ground/shell-words.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { TaskError } from '../runner/runner.ts';
import { howToRestore } from '../secrets/how-to-restore.ts';
import type { Target } from '../settings/context.ts';
import { settingsFiles } from '../settings/settings.ts';
import { chartArguments, chartArgumentsText, needsRepositories } from './chart-places.ts';

/** A release as `helmfile.yaml` declares it. */
export type Release = {
  readonly name: string;
  readonly namespace: string;
  /** As declared: a path of ours, or a template that the settings fill in. */
  readonly chart: string;
  readonly tier: string;
  readonly app: string;
  /** Names of releases, without their namespace. */
  readonly needs: readonly string[];
  /** Seconds. */
  readonly timeout: number;
  /** It describes its own namespace, which has to be there before. */
  readonly createNamespace?: boolean;
};

type Declared = {
  readonly helmDefaults?: { readonly timeout?: number };
  readonly templates?: unknown;
  readonly releases: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly chart: string;
    readonly labels: { readonly tier: string; readonly app: string };
    readonly needs?: readonly string[];
    readonly timeout?: number;
    readonly createNamespace?: boolean;
  }[];
};

let last: { readonly text: string; readonly declared: Declared } | undefined;

/** The releases in the order of the file. `helmfile.yaml` is kept plain YAML, so that it can be read without helmfile. */
export async function declaredReleases(): Promise<readonly Release[]> {
  const text = await readFile(join(root, 'helmfile.yaml'), 'utf8').catch(async (error: Error) => {
    throw new TaskError({
      what: 'helmfile.yaml cannot be read',
      why: error.message,
      advice: await howToRestore('helmfile.yaml'),
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

/** The values of label `app`, for arguments. */
export const appNames = async (): Promise<string[]> => [
  ...new Set((await declaredReleases()).map(({ app }) => app)),
];

export const tierNames = async (): Promise<string[]> => [
  ...new Set((await declaredReleases()).map(({ tier }) => tier)),
];

export const releaseNames = async (): Promise<string[]> => (await declaredReleases()).map(({ name }) => name);

/** The releases that `selected` picks and everything these need, in the order of the file. */
export function withNeeds(releases: readonly Release[], selected: (release: Release) => boolean): Release[] {
  const wanted = new Set<string>();
  const add = (release: Release): void => {
    if (wanted.has(release.name)) return;
    wanted.add(release.name);
    for (const need of release.needs) {
      const needed = releases.find(({ name }) => name === need);
      if (needed) add(needed);
    }
  };
  for (const release of releases) if (selected(release)) add(release);
  return releases.filter(({ name }) => wanted.has(name));
}

async function globalArguments({ environment, settings }: Target, kubeconfig: string): Promise<string[]> {
  const files = await settingsFiles(environment.name, environment.provider, environment.root);
  return [
    '--kubeconfig',
    kubeconfig,
    '--kube-context',
    environment.context,
    ...files.flatMap((file) => ['--state-values-file', file]),
    // A name such as 1234 or true is a text, too.
    '--state-values-set-string',
    `environment=${environment.name}`,
    // Where all charts are local, no chart repository is asked.
    ...(needsRepositories(settings) ? [] : ['--skip-deps']),
  ];
}

/** A helmfile call with kubeconfig, context and values named, to be run in the project's folder. */
export async function helmfile(target: Target, ...args: readonly string[]): Promise<string[]> {
  return [
    'helmfile',
    ...(await globalArguments(target, target.environment.kubeconfig)),
    ...(await chartArguments(target.settings)),
    ...args,
  ];
}

/** The same as text with relative paths, for `--dry-run`. */
export async function helmfileText(target: Target, ...args: readonly string[]): Promise<string> {
  const words = [
    'helmfile',
    ...(await globalArguments(target, `.state/${target.environment.name}/kubeconfig`)),
  ];
  const charts = chartArgumentsText(target.settings);
  return [shellWords(words), ...charts, shellWords(args)].join(' ');
}

/**
 * Of what helmfile printed on stderr, what helm said: of a failed release helmfile tells program, arguments, exit status,
 * then helm's own lines under `STDERR:` and once more under `COMBINED OUTPUT:`. Everything, when it holds no such part.
 */
export function saidByHelm(stderr: string): string[] {
  const parts = [...stderr.matchAll(/^ *STDERR:\n([\s\S]*?)(?=^ *COMBINED OUTPUT:|(?![\s\S]))/gm)].map(
    ([, part]) => part ?? '',
  );
  const lines = (parts.length > 0 ? parts.join('') : stderr).split('\n').map((line) => line.trim());
  return [...new Set(lines.filter((line) => line !== ''))];
}
