import { execFile } from 'node:child_process';
import { TaskError } from '@k8s-deployment/runner';
import { isReachable } from '../../tools/release-host.ts';
import { findTool } from '../../tools/tools.ts';

/** Asks the Docker engine for its version; `missing` if PATH has no client. */
export function askEngine(): Promise<'answers' | 'silent' | 'missing'> {
  return new Promise((resolve) => {
    execFile('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 }, (error, stdout) => {
      if (error?.code === 'ENOENT') resolve('missing');
      else resolve(error === null && stdout.trim() !== '' ? 'answers' : 'silent');
    });
  });
}

export const noAnswer = (why: string): TaskError =>
  new TaskError({
    what: 'Docker does not answer',
    why,
    advice: 'start Docker, then run again',
  });

/** Throws `TaskError` if the Docker engine does not answer. Leaves a missing client to the check of tools. */
export async function requireEngine(): Promise<void> {
  if ((await askEngine()) === 'silent') throw noAnswer('`docker version` got no answer within 5 s');
}

/** True if Docker answers and minikube is installed or can be. minikube's docker driver refuses root. */
export async function fitsMinikube(user: number | undefined): Promise<boolean> {
  if (user === 0 || (await askEngine()) !== 'answers') return false;
  return (
    (await findTool('minikube')) !== undefined ||
    (await isReachable('github.com')) ||
    (await findTool('go')) !== undefined
  );
}
