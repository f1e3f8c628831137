import { join } from 'node:path';
import { MissingToolError, type Need, need, type Options, task } from '@k8s-deployment/runner';
import { textIfThere } from '../lib/ground/if-there.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { type ToolName, testTools, toolNames, toolsOf } from '../lib/tools/manifest.ts';
import type { Requirement } from '../lib/tools/tools.ts';

/** Tasks need their tools with `tools(…)` and start once these are installed. */
export const installTool = task({
  name: 'install-tool',
  description: 'install one tool if it is missing',
  group: 'tools',
  private: true,
  args: { name: { type: 'choice', positional: true, choices: toolNames, description: 'the tool' } },
  // One download or build at a time, in the order of needs.
  mutex: ({ args }) =>
    ['gpg', 'openssl', 'docker', 'postgresql', 'postgresql-client'].includes(args.name)
      ? `tool ${args.name}`
      : 'tools',
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

/** Charts of the settings that begin with tool://. */
export const chartTools = task({
  name: 'chart-tools',
  description: 'install the tools whose sources contain charts',
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
  const { loadSettings } = await import('../lib/settings/settings.ts');
  const settings = await loadSettings(environmentOf(options));
  return [...new Set(toolCharts(settings).map(({ tool }) => tool))];
}

export const installTools = task({
  name: 'install-tools',
  description: 'install every missing tool of the provider',
  group: 'tools',
  args: { tests: { type: 'boolean', description: 'also the tools that only the tests need' } },
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
    // The manifest first: it pins mise, which looks up the releases.
    const missing = [...(await updateManifest(context)), ...(await updatePins(context))];
    context.print(missing.length === 0 ? 'everything is pinned' : `not pinned:\n  ${missing.join('\n  ')}`);
  },
});

export const verifyDependencies = task({
  name: 'verify-dependencies',
  description: 'show which tools are installed, in which version, and how to get the others',
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
    const { checkTools, toolTable } = await import('../lib/tools/check-tools.ts');
    const { provider } = environmentOf(options);
    const rows = await checkTools(provider, await requirementOf(options), await chartToolNames(options));
    print(options.json ? JSON.stringify(rows, null, 2) : toolTable(rows, provider));
    const missing = rows.filter((row) => row.needed && row.state === 'missing');
    if (missing.length === 0) return;
    throw new MissingToolError({
      what: `provider ${provider} lacks ${missing.map((row) => row.name).join(', ')}`,
      why: 'PATH has no suitable version, and it cannot be downloaded or built here',
      advice: missing.map((row) => row.how).join('\n'),
    });
  },
});

/** The environment's required versions; PostgreSQL keeps its data's major version. */
async function requirementOf(options: Options): Promise<Requirement> {
  const environment = environmentOf(options);
  const { loadSettings } = await import('../lib/settings/settings.ts');
  const { cluster } = await loadSettings(environment);
  const version = join(environment.state, 'postgresql', 'data', 'PG_VERSION');
  const major = (await textIfThere(version)) ?? '';
  return {
    kubernetesVersion: cluster.kubernetesVersion,
    postgresqlMajor: major === '' ? undefined : Number.parseInt(major, 10),
  };
}
