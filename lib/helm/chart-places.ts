import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { didYouMean, TaskError } from '@k8s-deployment/runner';
import type { ChartSetting, Settings } from '../settings/context.ts';
import { type ToolName, toolNames } from '../tools/manifest.ts';
import { findTool } from '../tools/tools.ts';

/** A chart in a tool's folder, next to its program. */
type ToolChart = {
  readonly setting: string;
  readonly chart: string;
  readonly tool: ToolName;
  readonly folder: string;
};

const chartsOf = ({ charts }: Settings): [string, ChartSetting][] => Object.entries(charts);

/** Charts whose setting is `tool://<tool>/<folder>`. Throws `TaskError` for an unknown tool. */
export function toolCharts(settings: Settings): ToolChart[] {
  return chartsOf(settings).flatMap(([name, { chart }]) => {
    const [, named, folder] = /^tool:\/\/([^/]*)\/?(.*)$/.exec(chart) ?? [];
    if (named === undefined) return [];
    const tool = toolNames.find((known) => known === named);
    if (tool === undefined || !folder)
      throw new TaskError({
        what: `expected setting \`charts.${name}.chart\` to be tool://<tool>/<folder>, got \`${chart}\``,
        why: 'the chart is part of a tool',
        advice: didYouMean(named, toolNames, 'see lib/tools/manifest.yaml for the tools and their folders'),
      });
    return [{ setting: `charts.${name}.chart`, chart, tool, folder }];
  });
}

/** True if helmfile has to load chart repositories. */
export const needsRepositories = (settings: Settings): boolean =>
  chartsOf(settings).some(([, { chart }]) => !/^(?:\.{0,2}\/|tool:\/\/)/.test(chart));

/**
 * The chart's path; it begins with the name of a tool that is not installed. Throws `TaskError` for a path with a
 * comma: in `--state-values-set` it starts another setting and cannot be escaped.
 */
export async function installedChart({ tool, folder }: ToolChart): Promise<string> {
  const path = join((await findTool(tool))?.folder ?? tool, folder);
  if (!path.includes(',')) return path;
  throw new TaskError({
    what: `the path of the chart ${path} cannot be passed to helmfile`,
    why: 'its path has a comma',
    advice: 'set XDG_CACHE_HOME to a folder without one',
  });
}

/** Throws `TaskError` if a release names a chart of the project that does not exist. */
export async function checkCharts(
  root: string,
  releases: readonly { readonly name: string; readonly chart: string }[],
): Promise<void> {
  for (const { name, chart } of releases) {
    if (!chart.startsWith('./')) continue;
    await access(join(root, chart, 'Chart.yaml')).catch(() => {
      throw new TaskError({
        what: `release ${name} uses the chart ${chart}, which does not exist`,
        why: 'its Chart.yaml cannot be read',
        advice: 'fix helmfile.yaml',
      });
    });
  }
}
