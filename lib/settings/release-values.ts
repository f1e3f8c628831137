import { basename } from 'node:path';
import { merge, type Tree } from '../ground/tree.ts';
import type { Settings } from './context.ts';

/**
 * The values of a release in the settings, merged as in environments/values.yaml.gotmpl: those of its chart, then its
 * own.
 */
export function releaseValues(
  settings: Settings,
  { name, chart }: { readonly name: string; readonly chart: string },
): Tree {
  const releases: { readonly [name: string]: Tree | undefined } = settings.releases;
  return merge(releases[basename(chart)] ?? {}, releases[name] ?? {});
}
