import { delimiter } from 'node:path';
import type { FoundTool } from './get-tool.ts';
import { loadManifest, type ToolName, testTools, toolNames } from './manifest.ts';
import { pathFolders } from './on-path.ts';
import type { ToolContext } from './tool-context.ts';
import type { Requirement } from './versions.ts';

/** The installed tool: a suitable version on PATH, or from the cache; undefined if there is none. */
export async function findTool(
  name: ToolName,
  requirement: Requirement = {},
): Promise<FoundTool | undefined> {
  const { tools } = await loadManifest();
  const { lookForTool } = await import('./get-tool.ts');
  const result = await lookForTool(tools[name], requirement);
  return 'reason' in result ? undefined : result;
}

/** The tool, installed if missing; see `getTool`. */
export async function ensureTool(
  name: ToolName,
  context: ToolContext,
  requirement: Requirement = {},
): Promise<FoundTool> {
  const { tools } = await loadManifest();
  const { getTool } = await import('./get-tool.ts');
  return getTool(tools[name], requirement, context);
}

/** Without test tools, which include another kube-apiserver. */
const usualTools = toolNames.filter((name) => !testTools.includes(name));

/**
 * A `PATH` on which the named tools (default: all that environments need) are the project's. Folders of tools that
 * PATH lacks come first; skips tools that are not installed.
 */
export async function toolEnvironment(names: readonly ToolName[] = usualTools): Promise<string> {
  const found = await Promise.all(names.map((name) => findTool(name)));
  const folders = found.flatMap((tool) =>
    tool === undefined || tool.source === 'PATH' ? [] : [tool.folder],
  );
  return [...new Set(folders), ...pathFolders()].join(delimiter);
}
