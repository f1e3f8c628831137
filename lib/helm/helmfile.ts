import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandOutput, TaskError } from '@k8s-deployment/runner';
import * as v from 'valibot';
import { flag, kindOf, mapWith, read, text, wholeNumber } from '../ground/schema.ts';
import { shellWords } from '../ground/shell-words.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { valueAt } from '../ground/tree.ts';
import { howToRestore } from '../secrets/how-to-restore.ts';
import type { Context, Settings, Target } from '../settings/context.ts';
import { settingsFiles, stateValues } from '../settings/settings.ts';
import { installedChart, needsRepositories, toolCharts } from './chart-places.ts';

const id = 'an id such as `core/devops`';
/** A word of a command line that helmfile's selectors take. */
const label = text('a word of letters, 0-9, ., _, /, + and -', /^(?!-)[\w./+-]+$/);
const nameOf = (longest: number) =>
  text(`a name, at most ${longest} of a-z, 0-9 and -`, new RegExp(`^(?!-)[a-z0-9-]{1,${longest}}(?<!-)$`));
const seconds = v.nullish(wholeNumber('a whole number of seconds, at least 1'));

/** What the tasks read; helmfile checks the other keys. */
const release = v.pipe(
  mapWith({
    // Helm's limit. Two names have the values of all releases of a chart.
    name: v.pipe(nameOf(53), v.notValues(['backend', 'frontend'], 'another name than that of a chart')),
    namespace: nameOf(63),
    /** A path in the project, or a template of a setting. */
    chart: text(),
    labels: mapWith({ tier: label, app: label }, 'a map with `tier` and `app`'),
    needs: v.nullish(v.pipe(v.array(text(id, /^[^/]+\/[^/]+$/), `a list, each ${id}`), v.readonly()), []),
    timeout: seconds,
    /** True if the release contains its own namespace, which has to exist before. */
    createNamespace: v.optional(flag),
    /** `helm-legacy`: waits for pods, but not for conditions of other objects. */
    trackMode: v.optional(text()),
  }),
  v.transform(({ labels, ...one }) => ({ ...one, ...labels, id: `${one.namespace}/${one.name}` })),
);

const schema = v.pipe(
  mapWith(
    {
      helmDefaults: v.nullish(mapWith({ timeout: seconds })),
      releases: v.pipe(
        v.array(release, 'a list of releases'),
        v.checkItems(
          ({ name }, place, all) => all.findIndex((one) => one.name === name) === place,
          ({ input }) => `a release with another name than \`${input.name}\`, which is taken`,
        ),
      ),
      /** Chart repositories. */
      repositories: v.nullish(v.array(mapWith({ name: text(), url: text() }), 'a list of repositories'), []),
    },
    'a map with `releases`',
  ),
  v.transform(({ helmDefaults, releases, repositories }) => ({
    repositories,
    releases: releases.map((one) => ({ ...one, timeout: one.timeout ?? helmDefaults?.timeout ?? 300 })),
  })),
);

type Helmfile = v.InferOutput<typeof schema>;

/** A release of `helmfile.yaml`; `id` is its namespace and name, such as `core/devops`, `timeout` in seconds. */
export type Release = Readonly<Helmfile['releases'][number]>;

let last: { readonly text: string; readonly helmfile: Helmfile } | undefined;

/** Selects releases by tier or app, or all. */
export type Selection = {
  readonly tier?: string | undefined;
  readonly app?: string | undefined;
  /** True for everything that the selected ones need, too. */
  readonly withNeeds?: boolean;
};

/** The releases of helmfile.yaml in order, by default all. */
export async function declaredReleases(root: string, selection: Selection = {}): Promise<readonly Release[]> {
  const { tier, app } = selection;
  const { releases } = await readHelmfile(root);
  const selected = releases.filter((one) => one.tier === (tier ?? one.tier) && one.app === (app ?? one.app));
  return selection.withNeeds ? withNeeds(selected, releases) : selected;
}

/**
 * What the tasks read of helmfile.yaml, which is plain YAML, so that it can be read without helmfile. Throws
 * `TaskError` with file and line for the first mistake.
 */
export async function readHelmfile(root: string): Promise<Helmfile> {
  const file = 'helmfile.yaml';
  const content = await readFile(join(root, file), 'utf8').catch(async (error: Error) => {
    throw new TaskError({
      what: `${file} cannot be read`,
      why: error.message,
      advice: await howToRestore(root, file),
    });
  });
  if (content === last?.text) return last.helmfile;
  const { value, lineOf } = await readStrictYaml(content, file);
  const found = read(schema, value);
  if ('problem' in found) {
    const { path, rule } = found.problem;
    const key = path.length === 0 ? 'the file' : `\`${path.join('.')}\``;
    const wrong = valueAt(value, path);
    const keys = Object.keys(valueAt(value, path.slice(0, -1)) ?? {}).join(', ');
    throw new TaskError({
      what: `${file}:${lineOf(path)}: expected ${key} to be ${rule}`,
      why: `it is ${wrong === undefined ? `missing; the map has [${keys}]` : kindOf(wrong)}`,
      advice: 'correct it; README.md shows an entry under "A release"',
    });
  }
  last = { text: content, helmfile: found.output };
  return found.output;
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
