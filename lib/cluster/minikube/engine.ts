import { execFile } from 'node:child_process';
import { isReachable } from '../../tools/release-host.ts';
import { findTool } from '../../tools/tools.ts';

/** Asks the Docker engine, not only its client, for its version; `missing` when there is no client on PATH. */
export function askEngine(): Promise<'answers' | 'silent' | 'missing'> {
  return new Promise((resolve) => {
    execFile('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 }, (error, stdout) => {
      if (error?.code === 'ENOENT') resolve('missing');
      else resolve(error === null && stdout.trim() !== '' ? 'answers' : 'silent');
    });
  });
}

/** True where Docker answers and minikube is installed, or can be downloaded or built. It refuses its docker driver to root. */
export async function fitsMinikube(user: number | undefined): Promise<boolean> {
  if (user === 0 || (await askEngine()) !== 'answers') return false;
  return (
    (await findTool('minikube')) !== undefined ||
    (await isReachable('github.com')) ||
    (await findTool('go')) !== undefined
  );
}
