import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { isTree, merge, type Tree, valueAt } from '../ground/tree.ts';
import { readHelmfile } from '../helm/helmfile.ts';
import type { Environment } from '../settings/context.ts';
import { replaceFiles } from '../settings/replace-files.ts';
import { settingsFiles } from '../settings/settings.ts';
import { openRepository, reasonOf } from '../tools/registry.ts';
import { type Edit, replaceValues } from './yaml-edits.ts';

/* Newer versions of third-party charts and images in an environment's settings files, and the digests of images. */

type Updated = {
  /** What was written, what a person has to decide, and what could not be asked; a line each. */
  readonly changed: string[];
  readonly notes: string[];
  readonly failed: string[];
};

type Run = Updated & {
  readonly signal: AbortSignal;
  readonly repositories: ReadonlyMap<string, string>;
  /** Versions of the programs in charts by name: an image keeps to that of its chart. */
  readonly programs: Map<string, string>;
};

/**
 * Writes the newest versions within the same major version into the settings files of the environment, lowest layer
 * first, and leaves all else in them as it is. What cannot be asked stays as it was.
 */
export async function updateSettings(
  { root, name, provider }: Environment,
  signal: AbortSignal,
): Promise<Updated> {
  const repositories = await chartRepositories(root);
  const run: Run = { changed: [], notes: [], failed: [], signal, repositories, programs: new Map() };
  let below: Tree = {};
  for (const file of (await settingsFiles(name, provider, root)).filter((one) =>
    one.startsWith('environments/'),
  )) {
    const text = await readFile(join(root, file), 'utf8');
    const own = ((await readStrictYaml(text, file)).value ?? {}) as Tree;
    below = merge(below, own);
    const edits = [...(await chartEdits(run, own, below)), ...(await imageEdits(run, own, below))];
    const { text: after, left } = replaceValues(text, edits);
    for (const edit of edits) {
      const [what, now] = [`${file}: ${edit.path.join('.')}`, edit.value];
      if (left.includes(edit))
        run.notes.push(`${what} → ${now}: others share its value (an alias or \`<<\`); write it by hand`);
      else run.changed.push(`${what} ${valueAt(own, edit.path) || '(none)'} → ${now}`);
    }
    if (after !== text) await replaceFiles([{ path: join(root, file), text: after }]);
  }
  return run;
}

/** The plain commands of `updateSettings`. */
export async function settingsCommands(root: string, settings: Tree): Promise<string[]> {
  const charts = chartsIn(settings, settings, await chartRepositories(root));
  const images = Object.values(mapsAt(settings, 'images')).filter(({ build }) => build === '');
  return [
    '# newer charts, and the versions of their programs:',
    ...new Set(charts.flatMap(({ index }) => (index === undefined ? [] : [`curl --fail ${index}`]))),
    '# newer images, and their digests:',
    ...images.flatMap(({ repository, tag }) => [
      `crane ls ${repository}`,
      `crane digest ${repository}:${tag}`,
    ]),
  ];
}

/** URLs of chart repositories by name. */
const chartRepositories = async (root: string): Promise<ReadonlyMap<string, string>> =>
  new Map((await readHelmfile(root)).repositories.map(({ name, url }) => [name, url]));

const mapsAt = (settings: Tree, key: string) =>
  (valueAt(settings, [key]) ?? {}) as { readonly [name: string]: { readonly [key: string]: string } };

/** Charts of a repository, whose version a layer has; with the repository's index, if it is known. */
function chartsIn(own: Tree, merged: Tree, repositories: ReadonlyMap<string, string>) {
  const places = [
    ...Object.keys(mapsAt(own, 'charts')).map((name) => ({ name, path: ['charts', name] })),
    { name: 'traefik', path: ['ingress', 'chart'] },
  ];
  return places.flatMap(({ name, path }) => {
    const { chart, repository = '' } = (valueAt(merged, path) ?? {}) as { [key: string]: string };
    const version = valueAt(own, [...path, 'version']) as string | undefined;
    if (!chart || !version) return [];
    const [alias = '', inRepository = ''] = chart.split('/');
    const index = (repository || repositories.get(alias))?.replace(/\/?$/, '/index.yaml');
    const entry = repository ? chart : inRepository;
    return [{ name, path: [...path, 'version'], chart, version, index, entry }];
  });
}

async function chartEdits(run: Run, own: Tree, merged: Tree): Promise<Edit[]> {
  const edits: Edit[] = [];
  for (const { name, path, chart, version, index, entry } of chartsIn(own, merged, run.repositories)) {
    if (index === undefined) {
      run.failed.push(`${chart}: helmfile.yaml does not have its repository`);
      continue;
    }
    const versions = await asked(run, chart, () => chartVersions(index, entry, run.signal));
    if (versions === undefined) continue;
    const newest = newestOf(run, chart, version, [...versions.keys()]);
    run.programs.set(name, versions.get(newest) ?? '');
    if (newest !== version) edits.push({ path, value: newest });
  }
  return edits;
}

/** A chart's versions in a repository, with the version of the program in each. */
async function chartVersions(
  address: string,
  chart: string,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(60_000)]);
  const response = await fetch(address, { signal: limit });
  if (!response.ok) throw new Error(`${address} answered HTTP ${response.status}`);
  const { parse } = await import('yaml');
  const entries = valueAt(parse(await response.text()), ['entries', chart]);
  if (!Array.isArray(entries)) throw new Error(`${address} has no chart ${chart}`);
  return new Map(
    entries.filter(isTree).map(({ version, appVersion }) => [String(version), String(appVersion ?? '')]),
  );
}

async function imageEdits(run: Run, own: Tree, merged: Tree): Promise<Edit[]> {
  const edits: Edit[] = [];
  for (const [name, image] of Object.entries(mapsAt(own, 'images'))) {
    const { repository, build, tag } = mapsAt(merged, 'images')[name] ?? {};
    // Own images get their version from their folder.
    if (image.tag === undefined || repository === undefined || tag === undefined || build) continue;
    const found = await asked(run, repository, async () => {
      const images = openRepository(repository, run.signal);
      const newest =
        writtenLike(tag, run.programs.get(name) ?? '') ?? newestOf(run, repository, tag, await images.tags());
      return { tag: newest, digest: (await images.manifest(newest)).digest };
    });
    for (const key of ['tag', 'digest'] as const)
      if (found !== undefined && image[key] !== undefined && found[key] !== image[key])
        edits.push({ path: ['images', name, key], value: found[key] });
  }
  return edits;
}

/** The newest version with the same major version; notes one of another. */
function newestOf(run: Run, what: string, current: string, all: readonly string[]): string {
  const { newest, ofAll } = newestLike(current, all);
  if (newest !== ofAll)
    run.notes.push(`${what}: ${ofAll} is another major version; read its changelog and write it by hand`);
  return newest;
}

/** An answer; undefined, with a line for the report, if there is none. */
async function asked<Answer>(run: Run, what: string, ask: () => Promise<Answer>) {
  try {
    return await ask();
  } catch (error) {
    run.signal.throwIfAborted();
    const reason = reasonOf(error as Error)
      .replace(/^getaddrinfo \w+ /, 'the name was not found (DNS): ')
      .replace(/^connect ECONNREFUSED (.*)/, '$1 refuses connections');
    run.failed.push(`${what}: ${reason}`);
    return undefined;
  }
}

/** A version in a tag: what comes before, the version, what comes after. `17.11-bookworm` is ['', '17.11', '-bookworm']. */
type Form = readonly [before: string, version: string, after: string];

const formOf = (tag: string) => /^(v?)(\d+(?:\.\d+)+)(.*)$/.exec(tag)?.slice(1) as Form | undefined;

/** Compares versions, number by number. */
const compare = (one: string, other: string): number => one.localeCompare(other, 'en', { numeric: true });

const majorOf = (version: string): string | undefined => version.split('.')[0];

/**
 * The newest version that is written like the current one (`v1.2.3`, `1.2-alpine`) with the same major version, and the
 * newest of all majors. Both are the current one if it is no version or has no newer one.
 */
export function newestLike(current: string, all: readonly string[]): { newest: string; ofAll: string } {
  const [before, now = '', after] = formOf(current) ?? [];
  const length = now.split('.').length;
  const newer = all
    .flatMap((tag) => {
      const [start, version = '', end] = formOf(tag) ?? [];
      const isAlike = start === before && end === after && version.split('.').length === length;
      return isAlike && compare(version, now) > 0 ? [{ tag, version }] : [];
    })
    .sort((one, other) => compare(other.version, one.version));
  return {
    newest: newer.find(({ version }) => majorOf(version) === majorOf(now))?.tag ?? current,
    ofAll: newer[0]?.tag ?? current,
  };
}

/**
 * A version as this tag would write it: `v0.8.1` for 0.8.1 and `v0.8.0`; the tag itself if it is newer. Undefined if the
 * version is written another way.
 */
export function writtenLike(tag: string, version: string): string | undefined {
  const [now, wanted] = [formOf(tag), formOf(version)];
  if (now === undefined || wanted === undefined || wanted[2] !== '') return undefined;
  return compare(now[1], wanted[1]) > 0 ? tag : `${now[0]}${wanted[1]}${now[2]}`;
}
