import { cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { root } from '../../lib/ground/project.ts';
import type { Target } from '../../lib/settings/context.ts';
import { settingsOf } from '../../lib/settings/environment.ts';
import type { Settings } from '../../lib/settings/settings.ts';
import { type ScriptedTools, scriptedTools } from './scripted-tools.ts';
import { type RecordedContext, taskContext } from './task-context.ts';

export type CloneContext = RecordedContext & Target;

export type ScriptedFolder = ScriptedTools & {
  readonly folder: string;
  /** Of environment `development`, with some of its settings replaced. */
  readonly context: (provider: ProviderName, settings?: Partial<Settings>) => Promise<CloneContext>;
  /** Gives the folder back as it was. */
  readonly reset: () => void;
  readonly remove: () => void;
};

/**
 * A folder with some files of the project, in which tools are played by scripts: for functions that take the project's folder from
 * their context, which need no copy of the sources.
 */
export function scriptedFolder(...entries: readonly string[]): ScriptedFolder {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'k8sd-')));
  const folder = join(base, 'project');
  const reset = (): void => {
    rmSync(folder, { recursive: true, force: true });
    for (const entry of entries) cpSync(join(root, entry), join(folder, entry), { recursive: true });
  };
  reset();
  return {
    ...scriptedTools(base),
    folder,
    context: async (provider, settings = {}) => {
      const context = taskContext({ env: 'development', provider, context: 'some-context' }, [], folder);
      return { ...context, settings: { ...(await settingsOf(context.environment)), ...settings } };
    },
    reset,
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
