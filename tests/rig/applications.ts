import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { removeApp } from '../../lib/applications/application.ts';
import { makeChanges } from '../../lib/applications/changes.ts';
import { root } from '../../lib/ground/project.ts';
import { environmentIn } from './task-context.ts';

type Common = {
  readonly database: { readonly applications: { readonly [app: string]: { readonly password: string } } };
};

const common = parse(readFileSync(join(root, 'environments/common.yaml'), 'utf8')) as Common;

/** The applications of the settings and where their database login comes from. Tests derive their tables from them. */
export const applications = Object.entries(common.database.applications).map(([name, { password }]) => ({
  name,
  secrets: password === '' ? ('vault' as const) : ('sops' as const),
}));

/** At most two of each kind, where every pair is tried: with sixty applications, that would take minutes. */
export const sample = (['vault', 'sops'] as const).flatMap((kind) =>
  applications.filter(({ secrets }) => secrets === kind).slice(0, 2),
);

/** Name, namespace, tier, app and needs of every release that helmfile.yaml has to declare, in its order. */
export const releaseTable: readonly string[] = [
  'devops core core devops',
  'metrics-server core core metrics-server core/devops',
  'vault vault core vault core/devops',
  'vault-operator vault core vault vault/vault',
  'reloader core core reloader core/devops',
  'postgresql database core postgresql core/devops',
  ...applications.flatMap(({ name, secrets }) => [
    `${name}-back backend apps ${name} core/devops database/postgresql${secrets === 'vault' ? ' vault/vault-operator' : ''}`,
    `${name}-front frontend apps ${name} backend/${name}-back`,
  ]),
];

/** Removes other applications than app1 and app2 from a copy of the project, for what was recorded with these two. */
export async function onlyExamples(folder: string): Promise<void> {
  for (const { name } of applications.filter((app) => !['app1', 'app2'].includes(app.name)))
    await makeChanges(folder, (await removeApp({ environment: environmentIn(folder) }, name)).changes);
}
