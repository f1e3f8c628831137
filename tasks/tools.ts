import { join } from 'node:path';
import { textIfThere } from '../lib/ground/if-there.ts';
import { MissingToolError, type Need, need, type Options, task } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { type ToolName, toolNames } from '../lib/tools/manifest.ts';
import { testTools, toolsOf } from '../lib/tools/provider-tools.ts';
import type { Requirement } from '../lib/tools/tools.ts';

/** Makes sure of one tool; other tasks name theirs by `tools(…)` and start as soon as these are there. */
export const installTool = task({
  name: 'install-tool',
  description: 'get one tool, unless it is there',
  group: 'tools',
  private: true,
  args: { name: { type: 'choice', positional: true, choices: toolNames, description: 'the tool' } },
  // Downloads and compilers one after another: in the order of the needs, and without two compilers side by side.
  mutex: ({ args }) =>
    ['gpg', 'openssl', 'docker', 'postgresql'].includes(args.name) ? `tool ${args.name}` : 'tools',
  commands: async ({ args, options }) => {
    const { plainCommands } = await import('../lib/tools/plain-commands.ts');
    return plainCommands(args.name, await requirementOf(options));
  },
  run: async (context) => {
    const { ensureTool } = await import('../lib/tools/tools.ts');
    await ensureTool(context.args.name, context, await requirementOf(context.options));
  },
});

/** The needs of a task that runs these programs. */
export function tools(...names: readonly ToolName[]): Need[] {
  return names.map((name) => need(installTool, { name }));
}

/** Gets the tools whose sources bring the charts that the settings name by tool://…. */
export const chartTools = task({
  name: 'chart-tools',
  description: 'get the tools that bring charts',
  group: 'tools',
  private: true,
  mutex: 'tools',
  commands: async ({ options }) => {
    const { plainCommands } = await import('../lib/tools/plain-commands.ts');
    return (await Promise.all((await chartToolNames(options)).map((tool) => plainCommands(tool)))).flat();
  },
  run: async (context) => {
    const { ensureTool } = await import('../lib/tools/tools.ts');
    for (const tool of await chartToolNames(context.options)) await ensureTool(tool, context);
  },
});

async function chartToolNames(options: Options): Promise<ToolName[]> {
  const { toolCharts } = await import('../lib/helm/chart-places.ts');
  const settings = await settingsOf(environmentOf(options));
  return [...new Set(toolCharts(settings).map(({ tool }) => tool))];
}

export const installTools = task({
  name: 'install-tools',
  description: 'get every missing tool of the provider',
  group: 'tools',
  args: { tests: { type: 'boolean', description: 'those that only the tests need, too' } },
  needs: ({ args, options }) => [
    ...tools(...toolsOf(environmentOf(options).provider), ...(args.tests ? testTools : [])),
    chartTools,
  ],
  commands: () => [],
});

export const updateTools = task({
  name: 'update-tools',
  description: 'pin the places and checksums of releases, images and mise under lib/tools',
  group: 'tools',
  commands: async () => (await import('../lib/tools/update-pins.ts')).updateCommands(),
  run: async (context) => {
    const [{ updateManifest }, { updatePins }] = await Promise.all([
      import('../lib/tools/update-manifest.ts'),
      import('../lib/tools/update-pins.ts'),
    ]);
    // mise first: it is the one that is asked for the releases.
    const missing = [...(await updateManifest(context)), ...(await updatePins(context))];
    context.print(missing.length === 0 ? 'everything is pinned' : `not pinned:\n  ${missing.join('\n  ')}`);
  },
});

export const verifyDependencies = task({
  name: 'verify-dependencies',
  description: 'show which tools are there, in which version, from where, and how to get the others',
  group: 'tools',
  commands: async ({ options }) => {
    const { loadManifest } = await import('../lib/tools/manifest.ts');
    const manifest = await loadManifest();
    const names = new Set([...toolsOf(environmentOf(options).provider), ...(await chartToolNames(options))]);
    return [...names].map((name) => {
      const { path, versionCommand } = manifest.tools[name];
      return [(path || undefined)?.programs[0] ?? name, ...versionCommand].join(' ');
    });
  },
  run: async ({ options, print }) => {
    const [{ checkTools }, { toolTable }] = await Promise.all([
      import('../lib/tools/check-tools.ts'),
      import('../lib/tools/tool-table.ts'),
    ]);
    const { provider } = environmentOf(options);
    const rows = await checkTools(provider, await requirementOf(options), await chartToolNames(options));
    print(options.json ? JSON.stringify(rows, null, 2) : toolTable(rows, provider));
    const missing = rows.filter((row) => row.needed && row.state === 'missing');
    if (missing.length === 0) return;
    throw new MissingToolError({
      what: `provider ${provider} lacks ${missing.map((row) => row.name).join(', ')}`,
      why: 'not on PATH in a version that will do, and there is no way to get it here',
      advice: missing.map((row) => row.how).join('\n'),
    });
  },
});

/** What the environment asks of its tools; PostgreSQL stays with the major version that the data was made with. */
async function requirementOf(options: Options): Promise<Requirement> {
  const environment = environmentOf(options);
  const { cluster } = await settingsOf(environment);
  const version = join(environment.state, 'postgresql', 'data', 'PG_VERSION');
  const major = (await textIfThere(version)) ?? '';
  return {
    kubernetesVersion: cluster.kubernetesVersion,
    postgresqlMajor: major === '' ? undefined : Number.parseInt(major, 10),
  };
}
