import { join } from 'node:path';
import { MissingToolError, need, type Options, TaskError, task } from '@k8s-deployment/runner';
import { textIfThere } from '../lib/ground/if-there.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { programOf, type ToolName, testTools, toolNames, toolsOf } from '../lib/tools/manifest.ts';
import type { Requirement } from '../lib/tools/versions.ts';

/** Tasks need their tools with `tools(…)` and start once these are installed. */
export const installTool = task({
  name: 'install-tool',
  description: 'install one tool if it is missing',
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
export const tools = (...names: readonly ToolName[]) => names.map((name) => need(installTool, { name }));

/** Charts of the settings that begin with tool://. */
export const chartTools = task({
  name: 'chart-tools',
  description: 'install the tools whose sources contain charts',
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

/** The settings, where only the options are known. */
export const settingsOf = async (options: Options) =>
  (await import('../lib/settings/settings.ts')).loadSettings(environmentOf(options));

async function chartToolNames(options: Options): Promise<ToolName[]> {
  const { toolCharts } = await import('../lib/helm/chart-places.ts');
  return [...new Set(toolCharts(await settingsOf(options)).map(({ tool }) => tool))];
}

export const installTools = task({
  name: 'install-tools',
  description: 'install every missing tool of the provider',
  args: { tests: { type: 'boolean', description: 'also the tools that only the tests need' } },
  needs: ({ args, options }) => [
    ...tools(...toolsOf(environmentOf(options).provider), ...(args.tests ? testTools : [])),
    chartTools,
  ],
  commands: () => [],
});

const updates = ['settings', 'tools'] as const;

export const update = task({
  name: 'update',
  description: 'pin newer charts and images with their digests, and the places and checksums of tools',
  lock: 'project',
  args: {
    part: {
      type: 'choice',
      positional: true,
      optional: true,
      choices: updates,
      description: "only the environment's charts and images, or only lib/tools",
    },
  },
  commands: async ({ args, options }) => {
    const { settingsCommands } = await import('../lib/applications/update.ts');
    const { updateCommands } = await import('../lib/tools/update-pins.ts');
    const { root } = environmentOf(options);
    return [
      ...(args.part === 'tools' ? [] : await settingsCommands(root, await settingsOf(options))),
      ...(args.part === 'settings' ? [] : await updateCommands()),
    ];
  },
  run: async (context) => {
    const { args, options, print } = context;
    const failed = [];
    if (args.part !== 'tools') {
      const { updateSettings } = await import('../lib/applications/update.ts');
      const updated = await updateSettings(environmentOf(options), context.signal);
      failed.push(...updated.failed);
      const lines = [...updated.changed, ...updated.notes, ...failed.map((line) => `not asked: ${line}`)];
      print(lines.length === 0 ? 'charts and images are the newest' : lines.join('\n'));
    }
    if (args.part !== 'settings') {
      const { updateManifest, updatePins } = await import('../lib/tools/update-pins.ts');
      // The manifest first: it pins mise, which looks up the releases.
      const missing = [...(await updateManifest(context)), ...(await updatePins(context))];
      print(missing.length === 0 ? 'tools are pinned' : `not pinned:\n  ${missing.join('\n  ')}`);
    }
    if (failed.length === 0) return;
    throw new TaskError({
      what: `${failed.length} charts or images could not be looked up`,
      why: failed.join('\n'),
      advice: 'run again where their hosts can be reached; what was found is written',
    });
  },
});

export const verifyDependencies = task({
  name: 'verify-dependencies',
  description: 'show which tools are installed, in which version, and how to get the others',
  commands: async ({ options }) => {
    const { loadManifest } = await import('../lib/tools/manifest.ts');
    const manifest = await loadManifest();
    const names = new Set([...toolsOf(environmentOf(options).provider), ...(await chartToolNames(options))]);
    return [...names].map((name) => {
      const entry = manifest.tools[name];
      return [programOf(entry), ...entry.versionCommand].join(' ');
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
  const { cluster } = await settingsOf(options);
  const version = join(environmentOf(options).state, 'postgresql', 'data', 'PG_VERSION');
  const major = await textIfThere(version);
  return {
    kubernetesVersion: cluster.kubernetesVersion,
    postgresqlMajor: major ? Number.parseInt(major, 10) : undefined,
  };
}
