import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cloneKey } from '../../lib/settings/environment.ts';
import { makeSandbox, type Sandbox } from '../integration/sandbox.ts';

/** Environment of the suite, and the filter for test names; from the command line, by tests/run.ts. */
export const environment = process.env.TEST_ENVIRONMENT || 'development';
export const only = process.env.TEST_ONLY ?? '';

export type Clone = Sandbox & {
  /** Name of the profile, of its network and of its first node. */
  readonly profile: string;
};

/** A clone of the project for minikube, with its own home but the user's minikube and caches. */
export async function makeClone(prefix: string): Promise<Clone> {
  const sandbox = await makeSandbox(prefix);
  Object.assign(sandbox.env, {
    ENVIRONMENT: environment,
    CLUSTER_PROVIDER: 'minikube',
    MINIKUBE_HOME: process.env.MINIKUBE_HOME ?? join(homedir(), '.minikube'),
  });
  return { ...sandbox, profile: `${environment}-${cloneKey(environment, sandbox.folder)}` };
}

/** stdout of a docker command. Throws when it fails. */
export async function docker(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('docker', args)).stdout.trim();
}

/** Containers, volumes and networks whose name begins with the profile's, each as `kind name`. */
export async function remainsOf({ profile }: Clone): Promise<string[]> {
  const kinds = [
    ['container', '{{.Names}}', '--all'],
    ['volume', '{{.Name}}'],
    ['network', '{{.Name}}'],
  ] as const;
  const lists = await Promise.all(
    kinds.map(async ([kind, format, ...more]) => {
      const names = await docker(kind, 'ls', ...more, '--format', format);
      return names.split('\n').map((name) => `${kind} ${name}`);
    }),
  );
  return lists.flat().filter((line) => line.includes(` ${profile}`));
}
