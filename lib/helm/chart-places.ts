import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { didYouMean, TaskError } from '../runner/runner.ts';
import type { Environment } from '../settings/environment.ts';
import type { ChartSetting, Settings } from '../settings/settings.ts';
import { type ToolName, toolNames } from '../tools/manifest.ts';
import { findTool } from '../tools/tools.ts';

/** A chart that comes with a tool: `folder` lies beside the tool's program. */
export type ToolChart = { readonly setting: string; readonly tool: ToolName; readonly folder: string };

const scheme = 'tool://';

const chartsOf = ({ charts }: Settings): [string, ChartSetting][] => Object.entries(charts);

/** The charts whose setting is `tool://<tool>/<folder>`. Throws `TaskError` for a tool that there is not. */
export function toolCharts(settings: Settings): ToolChart[] {
  return chartsOf(settings).flatMap(([name, { chart }]) => {
    if (!chart.startsWith(scheme)) return [];
    const [tool = '', ...folder] = chart.slice(scheme.length).split('/');
    if (!toolNames.some((known) => known === tool) || folder.join('/') === '') {
      throw new TaskError({
        what: `Expected setting \`charts.${name}.chart\` to be tool://<tool>/<folder>, got \`${chart}\``,
        why: 'the chart is looked for in the folder of one of the tools',
        advice: didYouMean(tool, toolNames, 'see lib/tools/manifest.yaml for the tools and their folders'),
      });
    }
    return [{ setting: `charts.${name}.chart`, tool: tool as ToolName, folder: folder.join('/') }];
  });
}

/** Whether a chart comes from a chart repository, so that helmfile has to know the repositories. */
export const needsRepositories = (settings: Settings): boolean =>
  chartsOf(settings).some(([, { chart }]) => !/^(?:\.{0,2}\/|tool:\/\/)/.test(chart));

/** The paths of the tools' charts as settings for helmfile; of a tool that is not there yet, none. */
export async function chartArguments(settings: Settings): Promise<string[]> {
  const found = toolCharts(settings).map(async ({ setting, tool, folder }) => {
    const place = await findTool(tool);
    return ['--state-values-set', `${setting}=${withoutComma(join(place?.folder ?? tool, folder))}`];
  });
  return (await Promise.all(found)).flat();
}

/** helmfile takes a comma for the beginning of another setting, and knows no way to write one. */
function withoutComma(path: string): string {
  if (!path.includes(',')) return path;
  throw new TaskError({
    what: `the chart ${path} cannot be named to helmfile`,
    why: 'its path has a comma',
    advice: 'let XDG_CACHE_HOME name a folder without one',
  });
}

/** The same as text, for `--dry-run`: the tool is on PATH by then. */
export const chartArgumentsText = (settings: Settings): string[] =>
  toolCharts(settings).map(
    ({ setting, tool, folder }) =>
      `--state-values-set ${setting}="$(dirname "$(command -v ${tool})")/${folder}"`,
  );

/** Throws `TaskError` for a release whose chart of the project is not there. */
export async function checkCharts(
  { root }: Pick<Environment, 'root'>,
  releases: readonly { readonly name: string; readonly chart: string }[],
): Promise<void> {
  for (const { name, chart } of releases) {
    if (!chart.startsWith('./')) continue;
    await access(join(root, chart, 'Chart.yaml')).catch(() => {
      throw new TaskError({
        what: `release ${name} names the chart ${chart}, which is not there`,
        why: 'its Chart.yaml cannot be read',
        advice: 'mend helmfile.yaml',
      });
    });
  }
}
