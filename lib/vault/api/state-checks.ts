import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { checkLineEnds } from '../../ground/line-ends.ts';
import type { Policy } from './desired-state.ts';
import type { DeclaredState } from './state-schema.ts';

/** The error for a path of keys in state.yaml. Never shows a value, which may be a password. */
export type Complain = (path: readonly string[], complaint: string) => TaskError;

/** Keys allowed for one type of engine only. */
const onlyOf = { version: 'kv', keys: 'transit', connections: 'database' } as const;

export function checkMounts({ mounts }: DeclaredState, complain: Complain): void {
  for (const mount of mounts) {
    const { path, type, version } = mount;
    for (const [key, only] of Object.entries(onlyOf))
      if (type !== only && mount[key as keyof typeof onlyOf] !== undefined)
        throw complain(['mounts', path, key], `is only possible with type ${only}`);
    if (type === 'kv' && version === undefined)
      throw complain(['mounts', path, 'version'], 'must be 2, the only one supported');
  }
}

export function checkRoles({ auth }: DeclaredState, policies: readonly Policy[], complain: Complain): void {
  for (const { path, maxTtl, roles } of auth)
    for (const role of roles) {
      const place = ['auth', path, 'roles', role.name];
      const missing = role.policies.find((name) => !policies.some((policy) => policy.name === name));
      if (missing !== undefined)
        throw complain(
          [...place, 'policies'],
          `names \`${missing}\`, but there is no policies/${missing}.hcl for it`,
        );
      checkLongest([...place, 'ttl'], role.ttl, `auth.${path}.maxTtl`, maxTtl, complain);
    }
}

/** Throws for a duration above the one at `bound`: Vault would silently shorten it. */
export function checkLongest(
  path: readonly string[],
  seconds: number,
  bound: string,
  longest: number | undefined,
  complain: Complain,
): void {
  if (longest !== undefined && seconds > longest)
    throw complain(path, `must not be longer than \`${bound}\``);
}

export type StateFile = {
  /** Path relative to the project: `vault/policies/vso.hcl`. */
  readonly file: string;
  readonly text: string;
};

/** Reads a file of the desired state. Throws `TaskError` that names it, also for Windows line ends. */
export async function readStateFile(folder: string, name: string): Promise<StateFile> {
  const file = join(basename(folder), name);
  const text = await readFile(join(folder, name), 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  checkLineEnds([{ path: file, text }]);
  return { file, text };
}

/** The error for a part of the desired state that cannot be read. */
export function unreadable(path: string, error: unknown): TaskError {
  return new TaskError({
    what: `the desired state of Vault cannot be read: ${path}`,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
