import { join } from 'node:path';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import type { Target } from '../../lib/settings/context.ts';
import type { Environment } from '../../lib/settings/environment.ts';
import { copyProject, type ProjectCopy } from './project-copy.ts';
import { type ScriptedTools, scriptedTools } from './scripted-tools.ts';
import { type RecordedContext, taskContext } from './task-context.ts';

export type CloneContext = RecordedContext & Target;

export type ScriptedClone = ProjectCopy &
  ScriptedTools & {
    /** A module of the clone, which uses the clone's files. */
    readonly lib: <Module>(path: string) => Promise<Module>;
    readonly environment: (provider: ProviderName) => Promise<Environment>;
    /** With the current settings. */
    readonly context: (provider: ProviderName) => Promise<CloneContext>;
  };

/** A fresh clone with scripted tools: for failures and states that a real cluster cannot be brought into. */
export function scriptedClone(): ScriptedClone {
  const clone = copyProject();
  const options = (provider: ProviderName) => ({ env: 'development', provider, context: 'some-context' });
  return {
    ...clone,
    ...scriptedTools(join(clone.folder, '..')),
    lib: (path) => import(join(clone.folder, 'lib', path)),
    environment: async (provider) => {
      const { environmentOf } = await import(join(clone.folder, 'lib/settings/environment.ts'));
      return environmentOf(options(provider)) as Environment;
    },
    context: async (provider) => {
      const context = taskContext(options(provider), [], clone.folder);
      const { settingsOf } = await import(join(clone.folder, 'lib/settings/environment.ts'));
      return { ...context, settings: await settingsOf(context.environment) };
    },
  };
}
