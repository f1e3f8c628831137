import type { ChildProcess } from 'node:child_process';

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
