import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { shellWords } from '../ground/shell-words.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { howToRestore } from '../secrets/how-to-restore.ts';
import type { Context, Settings, Target } from '../settings/context.ts';
import { settingsFiles, stateValues } from '../settings/settings.ts';
import { installedChart, needsRepositories, toolCharts } from './chart-places.ts';

/** A release of `helmfile.yaml`. */
export type Release = {
  /** Namespace and name, such as `core/devops`. */
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  /** A path in the project, or a template of a setting. */
  readonly chart: string;
  readonly tier: string;
  readonly app: string;
  /** Ids of releases. */
  readonly needs: readonly string[];
  /** Seconds. */
  readonly timeout: number;
  /** True if the release contains its own namespace, which has to exist before. */
  readonly createNamespace?: boolean;
  /** `helm-legacy`: waits for pods, but not for conditions of other objects. */
  readonly trackMode?: string;
};

type Declared = {
  readonly helmDefaults?: { readonly timeout?: number };
  readonly releases: readonly (Omit<Release, 'id' | 'tier' | 'app' | 'needs' | 'timeout'> &
    Partial<Pick<Release, 'needs' | 'timeout'>> & { readonly labels: Pick<Release, 'tier' | 'app'> })[];
};

let last: { readonly text: string; readonly declared: Declared } | undefined;

/** Selects releases by tier or app, or all. */
export type Selection = {
  readonly tier?: string | undefined;
  readonly app?: string | undefined;
  /** True for everything that the selected ones need, too. */
  readonly withNeeds?: boolean;
};

/**
 * The releases of helmfile.yaml in order, by default all. The file is plain YAML, so that it can be read without
 * helmfile.
 */
export async function declaredReleases(root: string, selection: Selection = {}): Promise<readonly Release[]> {
  const { tier, app } = selection;
  const text = await readFile(join(root, 'helmfile.yaml'), 'utf8').catch(async (error: Error) => {
    throw new TaskError({
      what: 'helmfile.yaml cannot be read',
      why: error.message,
      advice: await howToRestore(root, 'helmfile.yaml'),
    });
  });
  if (text !== last?.text)
    last = { text, declared: (await readStrictYaml(text, 'helmfile.yaml')).value as Declared };
  const { helmDefaults, releases: declared } = last.declared;
  const releases = declared.map(({ labels, ...release }) => ({
    needs: [],
    timeout: helmDefaults?.timeout ?? 300,
    ...release,
    id: `${release.namespace}/${release.name}`,
    tier: labels.tier,
    app: labels.app,
  }));
  const selected = releases.filter((one) => one.tier === (tier ?? one.tier) && one.app === (app ?? one.app));
  return selection.withNeeds ? withNeeds(selected, releases) : selected;
}

/** The selected releases and what they need among `all`, in the order of `all`. */
export function withNeeds(selected: readonly Release[], all: readonly Release[]): readonly Release[] {
  const wanted = new Set(selected);
  // Sets can grow while they are iterated.
  for (const one of wanted) for (const other of all) if (one.needs.includes(other.id)) wanted.add(other);
  return all.filter((release) => wanted.has(release));
}

/** The release with this name, which was checked before. */
export async function declaredRelease(root: string, name: string): Promise<Release> {
  const release = (await declaredReleases(root)).find((candidate) => candidate.name === name);
  if (release === undefined) throw new Error(`helmfile.yaml has no release ${name} any more`);
  return release;
}

/** The releases of other applications that need one of `own`, directly. */
export const needingAny = (releases: readonly Release[], own: readonly Release[]): readonly Release[] =>
  releases.filter(
    ({ app, needs }) => own.some(({ id }) => needs.includes(id)) && own.every((one) => one.app !== app),
  );

/** True if the setting `releases.<name>.installed` is false. */
export const isLeftOut = ({ releases }: Pick<Settings, 'releases'>, name: string): boolean =>
  releases[name]?.installed === false;

/** Declared releases, as `declaredReleases` selects them: those that are installed, and those that are left out. */
export async function selectReleases(target: Target, selection?: Selection) {
  const releases = await declaredReleases(target.environment.root, selection);
  const isOut = ({ name }: Release) => isLeftOut(target.settings, name);
  return { installed: releases.filter((one) => !isOut(one)), leftOut: releases.filter(isOut) };
}

/** Throws `TaskError` if a release is left out that another one needs. */
export async function checkLeftOut(target: Target): Promise<void> {
  const { installed, leftOut } = await selectReleases(target);
  for (const { name, needs } of installed) {
    const missing = leftOut.find(({ id }) => needs.includes(id))?.name;
    if (missing === undefined) continue;
    throw new TaskError({
      what: `releases.${missing}.installed is false, but ${name} needs ${missing}`,
      why: `helmfile.yaml lists it under the needs of ${name}`,
      advice: `install it, leave ${name} out too, or remove that need if something else provides for it`,
    });
  }
}

type Field = 'name' | 'namespace' | 'app' | 'tier';

/** Distinct values of a field of the releases, by default of all. */
export async function declaredValues(root: string, field: Field, selection?: Selection): Promise<string[]> {
  return [...new Set((await declaredReleases(root, selection)).map((release) => release[field]))];
}

/** helmfile's `-l` options for a selection; none for all. */
export const selector = ({ tier, app }: Selection): readonly string[] =>
  tier !== undefined ? ['-l', `tier=${tier}`] : app !== undefined ? ['-l', `app=${app}`] : [];

/**
 * helmfile's option for how many helm processes run at once. By default it starts one for every release whose needs are
 * there: 50 MiB each, and with many applications each gets so little of the machine that its time limit passes.
 */
export const atOnce = ['--concurrency', '10'] as const;

/** The names of releases for a sentence. */
export const namesText = (releases: readonly Pick<Release, 'name'>[]): string =>
  releases.map(({ name }) => name).join(', ');

/** helmfile's commands that need no chart, and so no chart repository. */
const withoutCharts = ['test', 'destroy'];

/**
 * The beginning of a helmfile call that ends with `words`: kubeconfig, context, values and the places of the tools'
 * charts; it runs in the project's folder. For `--dry-run` with relative paths, and the charts as in the settings.
 */
export async function helmfileCommand(
  { environment, settings }: Target,
  words: readonly string[] = [],
  form: 'run' | 'dry-run' = 'run',
): Promise<string[]> {
  const { name, provider, root, context } = environment;
  const kubeconfig = form === 'run' ? environment.kubeconfig : `.state/${name}/kubeconfig`;
  const files = await settingsFiles(name, provider, root);
  const charts = toolCharts(settings).map(async (found) => {
    const chart = form === 'run' ? await installedChart(found) : found.chart;
    return ['--state-values-set', `${found.setting}=${chart}`];
  });
  return [
    ...['helmfile', '--kubeconfig', kubeconfig, '--kube-context', context],
    ...(await stateValues(files, root)),
    // As a string, since the name may be 1234 or true.
    ...['--state-values-set-string', `environment=${name}`],
    // Otherwise, chart repositories are contacted.
    ...(needsRepositories(settings) && !words.some((word) => withoutCharts.includes(word))
      ? []
      : ['--skip-deps']),
    ...(await Promise.all(charts)).flat(),
  ];
}

/** A call as text for `--dry-run`; the shell finds the tools of charts on PATH. */
export async function helmfileText(target: Target, ...args: readonly string[]): Promise<string> {
  const text = shellWords([...(await helmfileCommand(target, args, 'dry-run')), ...args]);
  return text.replaceAll(/=tool:\/\/([\w-]+)(\S+)/g, '="$(dirname "$(command -v $1)")$2"');
}

/**
 * Runs helmfile. Throws the error of an encrypted file that explains a failure, otherwise what `explain` returns for
 * the failure and helmfile's stderr.
 */
export async function callHelmfile(
  context: Context,
  words: readonly string[],
  explain: (error: TaskError, stderr: string) => TaskError | Promise<TaskError>,
  quiet = true,
): Promise<CommandOutput> {
  const running = context.$({ quiet })`${await helmfileCommand(context, words)} --quiet ${words}`;
  let stderr = '';
  running.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  try {
    return await running;
  } catch (error) {
    if (context.signal.aborted || !(error instanceof TaskError)) throw error;
    const { secretFailure } = await import('../secrets/sops.ts');
    const secret = await secretFailure(context, error);
    throw secret === error ? await explain(error, stderr) : secret;
  }
}
