import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from '../../../ground/project.ts';
import { temporaryFolder } from './folder.ts';

/** How a process ended; the exit code is null after a signal. */
export type Ended = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

/** Resolves when a process has ended and its output is complete. Rejects when it could not be started. */
export function ended(child: ChildProcess): Promise<Ended> {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, ...output }));
  });
}

/** The project's tsx, for a file that lies anywhere: `node --import <loader> <file>`. */
export const loader = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href;

/** Far more than anything here takes: what never ends is a failure, not a hang. */
const limitMs = 60_000;

export function runFile(
  program: string,
  words: readonly string[],
  cwd: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const { CI: _, ...inherited } = process.env;
  const env = { ...inherited, NO_COLOR: '1', LC_ALL: 'C.UTF-8', ...variables };
  return ended(spawn(program, words, { cwd, env, timeout: limitMs, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/**
 * Bundles a program as `./run` does; `node` starts the file in a third of the time that the sources take. It is removed
 * with this process.
 */
export async function bundled(entry: string): Promise<string> {
  const output = join(temporaryFolder(), 'program.mjs');
  await bundle(entry, output);
  return output;
}

/** Bundles a program into this file, with a source map beside it. */
export async function bundle(entry: string, output: string): Promise<void> {
  const script = join(root, 'lib', 'start', 'bundle.ts');
  await promisify(execFile)(process.execPath, ['--import', loader, script, entry, output]);
}
