import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import type { Target } from '../../lib/settings/context.ts';
import type { Environment } from '../../lib/settings/environment.ts';
import { copyProject, type ProjectCopy } from './project-copy.ts';
import { type RecordedContext, taskContext } from './task-context.ts';

/** What each tool answers when it is asked for its version, so that it counts as one that will do. */
const versions: { readonly [tool: string]: string } = {
  kubectl: 'Client Version: v1.31.0',
  minikube: 'v1.38.1',
  helmfile: 'helmfile version 1.8.0',
  sops: 'sops 3.13.2',
};

export type CloneContext = RecordedContext & Target;

export type ScriptedClone = ProjectCopy & {
  /** A module of the clone, which finds the clone's files. */
  readonly lib: <Module>(path: string) => Promise<Module>;
  /**
   * Plays a tool: a shell script that is called instead of it. It sees `$*`, and answers by its output and exit code.
   */
  readonly script: (tool: string, body: string) => void;
  /** What the scripts were called with, as `tool words`, in order; versions are left out. */
  readonly calls: () => string[];
  readonly forget: () => void;
  readonly environment: (provider: ProviderName) => Promise<Environment>;
  /** With the settings of the moment. */
  readonly context: (provider: ProviderName) => Promise<CloneContext>;
};

/** A fresh clone in which tools are played by scripts: for failures and states that no real cluster can be brought to. */
export function scriptedClone(): ScriptedClone {
  const clone = copyProject();
  const bin = join(clone.folder, '..', 'bin');
  const log = join(clone.folder, '..', 'calls');
  mkdirSync(bin);
  writeFileSync(log, '');
  // Nothing but the scripts and the system's own programs, and nothing of a user's.
  process.env.PATH = [bin, '/usr/bin', '/bin'].join(delimiter);
  process.env.XDG_CACHE_HOME = join(clone.folder, '..', 'cache');
  process.env.CALLS = log;
  const options = (provider: ProviderName) => ({ env: 'development', provider, context: 'some-context' });
  return {
    ...clone,
    lib: (path) => import(join(clone.folder, 'lib', path)),
    script: (tool, body) => {
      const version = `case "$*" in version\\ --client|version\\ --short|--version*) echo '${versions[tool] ?? ''}'; exit 0;; esac`;
      writeFileSync(
        join(bin, tool),
        `#!/bin/sh\nCALLS='${log}'\n${version}\necho "${tool} $*" >> "$CALLS"\n${body}\n`,
        {
          mode: 0o755,
        },
      );
    },
    calls: () => readFileSync(log, 'utf8').split('\n').slice(0, -1),
    forget: () => writeFileSync(log, ''),
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
