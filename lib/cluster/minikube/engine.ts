import { execFile } from 'node:child_process';
import { reasonIn, TaskError } from '@k8s-deployment/runner';

/** Asks the Docker engine for its version. Otherwise returns why there is none, `missing` if PATH has no client. */
function askEngine(): Promise<'answers' | 'missing' | { readonly why: string }> {
  const words = ['version', '--format', '{{.Server.Version}}'];
  return new Promise((resolve) => {
    execFile('docker', words, { timeout: 5000 }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') resolve('missing');
      else if (error === null && stdout.trim() !== '') resolve('answers');
      else if (error?.killed) resolve({ why: '`docker version` got no answer within 5 s' });
      else resolve({ why: reasonIn(stderr) ?? '`docker version` printed no version' });
    });
  });
}

export function noAnswer(why: string): TaskError {
  const corrected = process.env.DOCKER_HOST ? 'start Docker, or correct DOCKER_HOST' : 'start Docker';
  const step = /permission denied while/i.test(why) ? 'let your user use Docker (group `docker`)' : corrected;
  return new TaskError({ what: 'Docker does not answer', why, advice: `${step}, then run again` });
}

/** Throws `TaskError` if the Docker engine does not answer. Leaves a missing client to the check of tools. */
export async function requireEngine(): Promise<void> {
  const answer = await askEngine();
  if (typeof answer === 'object') throw noAnswer(answer.why);
}

/** True if Docker answers and minikube is installed or can be. minikube's docker driver refuses root. */
export async function fitsMinikube(user: number | undefined): Promise<boolean> {
  if (user === 0 || (await askEngine()) !== 'answers') return false;
  // Each start without Docker is spared these.
  const { findTool } = await import('../../tools/tools.ts');
  const { isReachable } = await import('../../tools/release-host.ts');
  return (
    (await findTool('minikube')) !== undefined ||
    (await isReachable('github.com')) ||
    (await findTool('go')) !== undefined
  );
}
