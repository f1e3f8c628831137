import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The version output of each tool, so that it is accepted. */
const versions: { readonly [tool: string]: string } = {
  kubectl: 'Client Version: v1.31.0',
  minikube: 'v1.38.1',
  helmfile: 'helmfile version 1.8.0',
  sops: 'sops 3.13.2',
};

export type ScriptedTools = {
  /**
   * Plays a tool: a shell script that is called instead of it. It reads `$*` and answers with its output and exit code.
   */
  readonly script: (tool: string, body: string) => void;
  /** The system's own program again. */
  readonly unscript: (tool: string) => void;
  /** Calls of the scripts as `tool words`, in order, without version calls. */
  readonly calls: () => string[];
  readonly forget: () => void;
};

/** Tools played by scripts below `base`. PATH has only them and the system's own programs, and nothing of a user's. */
export function scriptedTools(base: string): ScriptedTools {
  const bin = join(base, 'bin');
  const log = join(base, 'calls');
  mkdirSync(bin);
  writeFileSync(log, '');
  process.env.PATH = [bin, '/usr/bin', '/bin'].join(delimiter);
  process.env.XDG_CACHE_HOME = join(base, 'cache');
  process.env.CALLS = log;
  return {
    script: (tool, body) => {
      const version = `case "$*" in version\\ --client|version\\ --short|--version*) echo '${versions[tool] ?? ''}'; exit 0;; esac`;
      const text = `#!/bin/sh\nCALLS='${log}'\n${version}\necho "${tool} $*" >> "$CALLS"\n${body}\n`;
      writeFileSync(join(bin, tool), text, { mode: 0o755 });
    },
    unscript: (tool) => rmSync(join(bin, tool)),
    calls: () => readFileSync(log, 'utf8').split('\n').slice(0, -1),
    forget: () => writeFileSync(log, ''),
  };
}
