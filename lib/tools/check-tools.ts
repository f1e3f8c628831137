import type { ProviderName } from '../cluster/providers.ts';
import { taskCommand } from '../ground/launcher.ts';
import { type FoundTool, isPinned, lookForTool, waysOf } from './get-tool.ts';
import { loadManifest, type ToolEntry, type ToolName, toolNames, toolsOf } from './manifest.ts';
import { nixosAdvice } from './prebuilt.ts';
import { describeTool, type Requirement } from './versions.ts';

/** A row of `verify-dependencies`. */
type ToolRow = {
  readonly name: string;
  readonly for: string;
  /** True if the provider needs it. */
  readonly needed: boolean;
  readonly state: 'installed' | 'can be installed' | 'missing';
  /** The installed version, or the one to install. */
  readonly version: string | null;
  readonly source: FoundTool['source'] | null;
  readonly path: string | null;
  /** Why PATH has no suitable version and how to install one; null if it is installed. */
  readonly how: string | null;
};

/**
 * Reports which tools are installed and how to get the others. Installs nothing. Contacts each release host at most
 * once (3 s). `charts`: tools whose sources contain charts.
 */
export async function checkTools(
  provider: ProviderName,
  requirement: Requirement = {},
  charts: readonly ToolName[] = [],
): Promise<ToolRow[]> {
  const { tools } = await loadManifest();
  const { go } = tools;
  const needed = [...toolsOf(provider), ...charts];
  const goInstalled = !('reason' in (await lookForTool(go, {})));
  const canBuild = async () => goInstalled || (await possibleWay(go, {}, async () => false)) !== undefined;
  const rows = toolNames.map(async (name): Promise<ToolRow> => {
    const entry = tools[name];
    const base = { name, for: entry.for, needed: needed.includes(name) };
    const result = await lookForTool(entry, requirement);
    if (!('reason' in result)) {
      const { version, source, path } = result;
      return { ...base, state: 'installed', version, source, path, how: null };
    }
    const way = await possibleWay(entry, requirement, canBuild);
    const onPath = entry.path === false || result.reason === 'not there' ? '' : `${result.reason}; `;
    const absent = { ...base, version: null, source: null, path: null };
    if (way === undefined) {
      const how = `${onPath}put ${describeTool(entry, requirement)} on PATH: ${nixosAdvice(name) ?? entry.advice}`;
      return { ...absent, state: 'missing', how };
    }
    const { source, how } = way;
    const version = entry.version ?? null;
    return { ...absent, state: 'can be installed', version, source, how: `${onPath}${how}` };
  });
  return Promise.all(rows);
}

type PossibleWay = { readonly source: FoundTool['source']; readonly how: string };

async function possibleWay(
  entry: ToolEntry,
  requirement: Requirement,
  canBuild: () => Promise<boolean>,
): Promise<PossibleWay | undefined> {
  if (!isPinned(entry, requirement)) return undefined;
  for (const { source, how, obstacle } of waysOf(entry)) {
    const isPossible = source === 'go' ? await canBuild() : (await obstacle?.(entry)) === undefined;
    if (isPossible) return { source, how: `${taskCommand('install-tools')} ${how(entry)}` };
  }
  return undefined;
}

/** The table of `verify-dependencies`; tools that the provider needs come first. */
export function toolTable(rows: readonly ToolRow[], provider: string): string {
  const needed = rows.filter((row) => row.needed);
  const others = rows.filter((row) => !row.needed);
  return [
    `provider ${provider} needs:`,
    ...lines(needed),
    ...(others.length === 0 ? [] : ['', 'not needed for it:', ...lines(others)]),
  ].join('\n');
}

function lines(rows: readonly ToolRow[]): string[] {
  const cells = rows.map((row) => [
    row.name,
    row.version ?? '-',
    row.state === 'installed' ? `${row.source}` : row.state,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  return rows.map((row, index) => {
    const start = (cells[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    return `  ${start}  ${row.path ?? row.how ?? ''}`.trimEnd();
  });
}
