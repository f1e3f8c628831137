import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../../ground/project.ts';

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

/** Runs a program to its end, without a terminal and without colours. */
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
