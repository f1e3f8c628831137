import { join } from 'node:path';
import { type CacheEntry, fillEntry } from './cache.ts';
import type { ToolEntry } from './manifest.ts';
import { ask, firstLine, versionOf } from './program-version.ts';
import type { ToolContext, WayResult } from './tool-context.ts';

/**
 * Fills a cache entry with a tool. `make` puts it into an empty folder and returns the program's path there. Keeps
 * the entry only if the program prints its name and version, as a publisher may ship another program under that name.
 */
export function keepTool(
  cached: CacheEntry,
  entry: Pick<ToolEntry, 'name' | 'versionCommand' | 'answers'>,
  context: ToolContext,
  make: (folder: string) => Promise<WayResult>,
): Promise<WayResult> {
  return fillEntry(cached, context, async (folder) => {
    const made = await make(folder);
    if ('reason' in made) return made;
    const reason = await whyNotItself(join(folder, made.program), entry, cached.version);
    return reason === undefined ? made : { reason };
  });
}

async function whyNotItself(
  program: string,
  entry: Pick<ToolEntry, 'name' | 'versionCommand' | 'answers'>,
  version: string,
): Promise<string | undefined> {
  const answer = await ask(program, entry.versionCommand);
  if ('problem' in answer) return `the downloaded or built ${entry.name} ${answer.problem}`;
  if (versionOf(answer.output, entry) === version) return undefined;
  return `the downloaded or built program is not ${entry.name} ${version}: it prints ${firstLine(answer.output)}`;
}
