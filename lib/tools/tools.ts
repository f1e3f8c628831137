import { delimiter } from 'node:path';
import type { FoundTool } from './get-tool.ts';
import { loadManifest, type ToolName, toolNames } from './manifest.ts';
import { pathFolders } from './on-path.ts';
import { testTools } from './provider-tools.ts';
import type { Requirement } from './requirement.ts';
import type { ToolContext } from './tool-context.ts';

export type { FoundTool } from './get-tool.ts';
export type { ToolName } from './manifest.ts';
export type { Requirement } from './requirement.ts';
export type { ToolContext } from './tool-context.ts';

/** The tool if it is there, on PATH in a version that will do or in the cache; never gets anything. */
export async function findTool(
  name: ToolName,
  requirement: Requirement = {},
): Promise<FoundTool | undefined> {
  const { tools } = await loadManifest();
  const { lookForTool } = await import('./get-tool.ts');
  const result = await lookForTool(tools[name], requirement);
  return 'reason' in result ? undefined : result;
}

/** The tool, got when it is not there yet; see `getTool` for the ways and the errors. */
export async function ensureTool(
  name: ToolName,
  context: ToolContext,
  requirement: Requirement = {},
): Promise<FoundTool> {
  const { tools } = await loadManifest();
  const { getTool } = await import('./get-tool.ts');
  return getTool(tools[name], requirement, context);
}

/** All but those of the tests, among which another kube-apiserver is. */
const usualTools = toolNames.filter((name) => !testTools.includes(name));

/**
 * A value for `PATH` under which the named tools (default: all that environments need) are the ones that the project chose. Only folders of tools that
 * PATH itself does not have are put first; tools that are not there yet are left out.
 */
export async function toolEnvironment(
  names: readonly ToolName[] = usualTools,
  requirement: Requirement = {},
): Promise<string> {
  const found = await Promise.all(names.map((name) => findTool(name, requirement)));
  const folders = found.flatMap((tool) =>
    tool === undefined || tool.source === 'PATH' ? [] : [tool.folder],
  );
  return [...new Set(folders), ...pathFolders()].join(delimiter);
}
