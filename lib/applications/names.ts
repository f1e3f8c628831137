import { UsageError } from '@k8s-deployment/runner';
import { parse } from 'yaml';
import { taskCommand } from '../ground/launcher.ts';
import { otherReading } from '../ground/yaml-scalars.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { allSecretFiles } from '../secrets/encrypted-file.ts';
import { sharedFiles } from '../secrets/shared-file.ts';
import type { Target } from '../settings/context.ts';
import { roleProblems } from '../settings/roles.ts';
import { roleForm } from '../settings/schema.ts';

/** Words that a setting or an argument uses for something else. */
const reserved = ['all', 'superuser', 'backend', 'frontend', 'constructor', 'prototype'];

/** Longest name of a helm release. */
const longestRelease = 53;

export const releaseNames = (app: string) => [`${app}-back`, `${app}-front`];

/** Throws `UsageError` if an application cannot have this name. */
export async function checkName(target: Target, name: string): Promise<void> {
  const why = formProblem(name) ?? (await takenProblem(target, name));
  if (why === undefined) return;
  throw new UsageError({
    what: `\`${name}\` cannot be the name of a new application`,
    why,
    advice: 'use another name, such as `orders`',
  });
}

function formProblem(name: string): string | undefined {
  if (!/^[a-z][a-z0-9]*$/.test(name))
    return 'Kubernetes objects, a host, a database and its role are named after it: a-z and 0-9, with a letter first';
  const release = releaseNames(name).find((found) => found.length > longestRelease);
  if (release !== undefined)
    return `the name of the release \`${release}\` would be longer than ${longestRelease} characters`;
  const value: unknown = parse(name);
  if (typeof value !== 'string' || otherReading(name, value) !== undefined)
    return 'without quotes, YAML readers do not all take it for a text';
  if (reserved.includes(name) || !roleForm.test(name)) return 'it has a meaning of its own';
  return undefined;
}

async function takenProblem({ environment, settings }: Target, name: string): Promise<string | undefined> {
  const { root } = environment;
  const releases = await declaredReleases(root);
  const taken = releases.find((release) => release.app === name || releaseNames(name).includes(release.name));
  if (taken !== undefined) {
    const has = `helmfile.yaml has the release \`${taken.name}\` of \`${taken.app}\``;
    return taken.tier === 'apps' ? `${has}, which ${taskCommand(`remove-app ${taken.app}`)} removes` : has;
  }
  const { database } = settings;
  if (Object.hasOwn(database.applications, name)) return 'it is in the setting `database.applications`';
  const applications = { ...database.applications, [name]: { password: '' } };
  const [problem] = roleProblems({ ...settings, database: { ...database, applications } });
  if (problem?.path.at(-1) === name)
    return 'its database and role are named after it, and PostgreSQL has another one of this name';
  if (sharedFiles.includes(`${name}.yaml`))
    return `secrets/${name}.yaml is the file of something else that a team shares (docs/secrets.md)`;
  const file = (await allSecretFiles(root)).find((path) => path.endsWith(`/${name}.yaml`));
  return file === undefined ? undefined : `${file} exists`;
}
