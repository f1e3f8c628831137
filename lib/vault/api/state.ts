import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { namesEnding } from '../../ground/leftover-files.ts';
import { read } from '../../ground/schema.ts';
import { readStrictYaml } from '../../ground/strict-yaml.ts';
import { objectsOfApplications } from './applications.ts';
import type { DesiredState, Policy } from './desired-state.ts';
import { type Complain, checkMounts, checkRoles, readStateFile, unreadable } from './state-checks.ts';
import { stateSchema } from './state-schema.ts';

/**
 * Reads `<folder>/state.yaml` with its policies and statements. Throws `TaskError` with file and key for anything
 * unknown, missing, mistyped, or naming something that does not exist.
 */
export async function loadDesiredState(folder: string): Promise<DesiredState> {
  const { file, text } = await readStateFile(folder, 'state.yaml');
  const { value, lineOf } = await readStrictYaml(text, file);
  const place = (path: readonly string[]) => `\`${path.join('.')}\` in ${file}:${lineOf(path)}`;
  const complain: Complain = (path, complaint) =>
    new TaskError({ what: `${path.length === 0 ? file : place(path)} ${complaint}` });
  const found = read(stateSchema, value);
  if ('problem' in found) {
    const { path, rule, isUnknown } = found.problem;
    throw isUnknown
      ? new TaskError({ what: `unknown key ${place(path)}`, advice: rule })
      : complain(path, `must be ${rule}`);
  }
  const declared = found.output;
  const files = await readPolicies(folder);
  checkMounts(declared, complain);
  checkRoles(declared, files, complain);
  const { policy: name, period } = declared.operator;
  const policy = files.find((other) => other.name === name);
  if (policy === undefined) throw complain(['operator', 'policy'], 'names no file of policies/');
  const { access, audit } = declared;
  const applications = await objectsOfApplications(folder, declared, files, complain);
  return {
    operator: { policy, period },
    audit,
    mounts: declared.mounts.map(({ keys = [], connections = [], ...mount }) => ({
      ...{ ...mount, keys, connections },
      logins: mount.path === access.database.mount ? applications.logins : [],
    })),
    auth: declared.auth.map(({ roles, ...mount }) => ({
      ...mount,
      roles: mount.path === access.auth ? [...roles, ...applications.roles] : roles,
    })),
    policies: [...files.filter((other) => other !== policy), ...applications.policies],
    keyValues: applications.keyValues,
  };
}

async function readPolicies(folder: string): Promise<Policy[]> {
  const path = join(folder, 'policies');
  const names = await readdir(path).catch((error: unknown) => {
    throw unreadable(join(basename(folder), 'policies'), error);
  });
  return Promise.all(
    namesEnding(path, names, '.hcl').map(async (name) => {
      const { file, text } = await readStateFile(folder, join('policies', name));
      return { name: name.slice(0, -'.hcl'.length), files: [file], text };
    }),
  );
}
