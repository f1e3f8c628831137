import { execFile } from 'node:child_process';
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

/** True if Docker answers and minikube is installed or can be. minikube's docker driver refuses root. */
export async function fitsMinikube(user: number | undefined): Promise<boolean> {
  if (user === 0 || (await askEngine()) !== 'answers') return false;
  return (
    (await findTool('minikube')) !== undefined ||
    (await isReachable('github.com')) ||
    (await findTool('go')) !== undefined
  );
}
