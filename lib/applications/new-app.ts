import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { taskCommand } from '../ground/launcher.ts';
import { secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import type { NewSecrets } from '../secrets/make.ts';
import type { Target } from '../settings/context.ts';
import { environmentNames } from '../settings/settings.ts';
import { checkChanges, type Plan } from './changes.ts';
import { checkName } from './names.ts';
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
