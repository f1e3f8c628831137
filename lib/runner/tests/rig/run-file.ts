import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../../ground/project.ts';

export type Ended = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** The project's tsx, for a file that lies anywhere: `node --import <loader> <file>`. */
export const loader = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href;

/** Far more than anything here takes: what never ends is a failure, not a hang. */
const limitMs = 60_000;

/** Runs a program to its end, without a terminal and without colours. Its exit code is -1 when it was killed or could not be started. */
export function runFile(
  program: string,
  words: readonly string[],
  cwd: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const { CI: _, ...inherited } = process.env;
  const env = { ...inherited, NO_COLOR: '1', LC_ALL: 'C.UTF-8', ...variables };
  return new Promise((resolve) => {
    execFile(program, words, { cwd, env, timeout: limitMs }, (error, stdout, stderr) => {
      const failed = typeof error?.code === 'number' ? error.code : -1;
      resolve({ exitCode: error === null ? 0 : failed, stdout, stderr });
    });
  });
}
