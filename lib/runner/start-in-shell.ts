import type { SpawnOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import type * as Zx from 'zx/core';
import { quote } from './command-text.ts';
import { type Ended, echo, type Launch, runChild } from './run-child.ts';

/** Every option is given: zx takes the others from global defaults, which ZX_… variables change. */
const unset = {
  ac: undefined,
  halt: undefined,
  signal: undefined,
  timeout: undefined,
} as unknown as Partial<Zx.Options>;

const require = createRequire(import.meta.url);

/**
 * Starts a command by zx in a shell. zx writes the command and waits for its end; the process, its streams and what is kept
 * of them are the run's. zx is only loaded by the first such command: it costs more than all of the runner.
 */
export function startInShell(
  pieces: TemplateStringsArray,
  values: readonly unknown[],
  launch: Launch,
): { readonly text: () => string; readonly ended: Promise<Ended> } {
  const zx = require('zx/core') as typeof Zx;
  const { options } = launch;
  const command = zx.$({
    ...unset,
    ...shellOf(zx),
    cwd: options.cwd ?? process.cwd(),
    env: options.env ?? process.env,
    store: noStore(),
    quiet: false,
    verbose: true,
    nothrow: true,
    detached: true,
    preferLocal: false,
    log: (entry) => {
      if (entry.kind === 'cmd') echo(launch, entry.cmd);
    },
    spawn: ((file: string, args: readonly string[], spawnOptions: SpawnOptions) => {
      // zx's own abort signal is left out: it would kill the shell alone, at once. Stopping is the run's business.
      const { signal: _, ...rest } = spawnOptions;
      return runChild(launch, file, args, rest);
    }) as typeof import('node:child_process').spawn,
  })(pieces, ...values);
  return {
    text: () => command.cmd,
    ended: command.then(async ({ exitCode, signal, cause }) => {
      await launch.state.closed;
      return { exitCode, signal, startError: cause ?? undefined };
    }),
  };
}

/** Takes what zx would keep of the output, which is all of it, and keeps nothing. */
function noStore(): NonNullable<Partial<Zx.Options>['store']> {
  const nothing = (): string[] => Object.assign([], { push: () => 0 });
  return { stdout: nothing(), stderr: nothing(), stdall: nothing() } as unknown as NonNullable<
    Partial<Zx.Options>['store']
  >;
}

/** bash where there is one; else plain sh, which has no pipefail. */
function shellOf(zx: typeof Zx): {
  shell: string;
  prefix: string;
  postfix: string;
  quote: (text: string) => string;
} {
  const found = zx.$.shell;
  const bash = typeof found === 'string' && found.includes('bash');
  return {
    shell: bash ? found : '/bin/sh',
    prefix: bash ? 'set -euo pipefail;' : 'set -eu;',
    postfix: '',
    quote,
  };
}
