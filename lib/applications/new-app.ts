import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '@k8s-deployment/runner';
import { parse } from 'yaml';
import { taskCommand } from '../ground/launcher.ts';
import { otherReading } from '../ground/strict-yaml.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { allSecretFiles, secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import type { NewSecrets } from '../secrets/make.ts';
import { sharedFiles } from '../secrets/shared-file.ts';
import { roleProblems } from '../settings/check.ts';
import type { Target } from '../settings/context.ts';
import { roleForm } from '../settings/schema.ts';
import { environmentNames } from '../settings/settings.ts';
import { checkChanges, type Plan } from './changes.ts';
import { addEntries, type Path } from './yaml-edits.ts';

/** Where an application's database login comes from. */
export type SecretsKind = 'vault' | 'sops';

type Wanted = { readonly name: string; readonly secrets: SecretsKind };

type Template = {
  readonly secrets: Readonly<Record<SecretsKind, { readonly [name: string]: string }>>;
  readonly additions: readonly {
    readonly file: string;
    readonly path: Path;
    readonly for?: SecretsKind;
    readonly text: string;
  }[];
};

const template = async (): Promise<Template> =>
  parse(await readFile(fileURLToPath(new URL('application.yaml', import.meta.url)), 'utf8')) as Template;

/**
 * The plan to add an application, with its secrets. helmfile.yaml comes first: `remove-app` finds what a killed run has
 * begun. Throws `UsageError` for an unfit name.
 */
export async function newApp(target: Target, wanted: Wanted): Promise<Plan> {
  const { name, secrets } = wanted;
  await checkName(target, name);
  const { root } = target.environment;
  const { secrets: kinds, additions } = await template();
  const fill = (text: string): string =>
    text.replaceAll(/\$\{(\w+)\}/g, (_, key: string) =>
      key === 'app' ? name : fill(kinds[secrets][key] ?? ''),
    );
  const changes = new Map<string, string>();
  for (const { file, path, for: only = secrets, text } of additions) {
    if (only !== secrets) continue;
    const before = changes.get(file) ?? (await readFile(join(root, file), 'utf8'));
    changes.set(file, addEntries(before, path, fill(text)));
  }
  await checkChanges(changes, (file) => `${name} cannot be added to ${file}`);
  const install = `${secrets === 'vault' ? 'init-vault , ' : ''}install-app ${name} , test-app ${name}`;
  return {
    changes,
    secrets: await newSecrets(root, wanted),
    next: `new application \`${name}\`: ${taskCommand(install)} installs and tests it`,
  };
}

/** The secrets files of an application in all environments that have secrets; others get theirs by `make-secrets`. */
async function newSecrets(root: string, { name, secrets }: Wanted): Promise<NewSecrets[]> {
  if (secrets === 'vault') return [];
  const files: NewSecrets[] = [];
  for (const environment of await environmentNames(root))
    if ((await secretNames({ name: environment, root })).length > 0)
      files.push({ file: secretsFile(environment, `${name}.yaml`), keys: { password: '' } });
  return files;
}

/** Words that a setting or an argument uses for something else. */
const reserved = ['all', 'superuser', 'backend', 'frontend', 'constructor', 'prototype'];

/** Longest name of a helm release. */
const longestRelease = 53;

const releaseNames = (app: string) => [`${app}-back`, `${app}-front`];

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
