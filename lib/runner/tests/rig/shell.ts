import { spawn } from 'node:child_process';
import type { Shell } from '../../shell.ts';
import { createShell, type ShellHost } from '../../start-command.ts';

export type Show = (stream: 'stdout' | 'stderr', chunk: Buffer | string) => void;

/** The runner's shell without a run around it; `show` gets what its commands print. */
export function plainShell(show: Show = () => {}, more: Partial<ShellHost> = {}): Shell {
  return createShell({
    interactive: false,
    check: () => {},
    // A command already leads its own process group.
    spawn: (file, args, options) => spawn(file, args, options),
    end: ({ pid = 0 }) => void process.kill(-pid, 'SIGTERM'),
    onCommand: () => {},
    newOutput: () => ({ stdout: (chunk) => show('stdout', chunk), stderr: (chunk) => show('stderr', chunk) }),
    redact: (text) => text,
    ...more,
  });
}
