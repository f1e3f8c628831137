import { execFile } from 'node:child_process';

/** Asks the Docker engine, not only its client, for its version; `missing` when there is no client on PATH. */
export function askEngine(): Promise<'answers' | 'silent' | 'missing'> {
  return new Promise((resolve) => {
    execFile('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 }, (error, stdout) => {
      if (error?.code === 'ENOENT') resolve('missing');
      else resolve(error === null && stdout.trim() !== '' ? 'answers' : 'silent');
    });
  });
}
