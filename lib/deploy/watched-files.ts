import { leftoverGlob } from '../ground/leftover-files.ts';
import { declaredReleases, withNeeds } from '../helm/helmfile.ts';
import type { Target } from '../settings/context.ts';
import { type Selection, selectsRelease } from './selection.ts';

/**
 * Globs of the files that decide what an install of the selection renders: helmfile.yaml, the settings with the secrets of the
 * environment, and those charts of the releases, needed ones included, that lie in the project.
 */
export async function watchedFiles(
  { environment, settings }: Target,
  selection: Selection,
): Promise<readonly string[]> {
  const places = new Map(Object.entries(settings.charts).map(([name, { chart }]) => [name, chart]));
  const releases = withNeeds(await declaredReleases(environment.root), selectsRelease(selection));
  const charts = releases.map(({ chart }) => {
    const [, setting] = /\.Values\.charts\.(\w+)\.chart/.exec(chart) ?? [];
    return setting === undefined ? chart : (places.get(setting) ?? '');
  });
  return [
    'helmfile.yaml',
    'environments/*.{yaml,gotmpl}',
    `environments/${environment.name}`,
    ...new Set(charts.filter((chart) => chart.startsWith('./'))),
    `!${leftoverGlob}`,
  ];
}
