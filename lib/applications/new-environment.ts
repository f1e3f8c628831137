import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { isLeftover } from '../ground/file-names.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { missingSecrets } from '../secrets/make.ts';
import type { InEnvironment } from '../settings/context.ts';
import { checkEnvironmentName, foldersIn } from '../settings/settings.ts';
import type { Plan } from './changes.ts';

type Wanted = { readonly name: string; readonly from: string };

/** Throws `UsageError` if no new environment can have this name. */
export async function checkNewEnvironment({ environment: { root } }: InEnvironment, name: string) {
  checkEnvironmentName(name);
  // A layer of the settings has a file, such as common.yaml.
  const exists = [name, `${name}.yaml`].find((entry) => existsSync(join(root, 'environments', entry)));
  if (exists === undefined && !(await foldersIn(root, '.state')).includes(name)) return;
  throw new UsageError({
    what: `\`${name}\` cannot be the name of a new environment`,
    why: exists ? `environments/${exists} exists` : 'it was created, and its folder was removed',
    advice: exists ? 'use another name' : `${taskCommand('destroy-environment', name)} removes what is left`,
  });
}

/** The settings of another environment, with the new name in their first comment. */
async function settings(root: string, { name, from }: Wanted): Promise<Map<string, string>> {
  const folder = join('environments', from);
  const texts = new Map<string, string>();
  for (const entry of await readdir(join(root, folder))) {
    const path = join(root, folder, entry);
    // Follows links.
    if (isLeftover(entry) || !(await ifThere(stat(path)))?.isFile()) continue;
    const text = await readFile(path, 'utf8');
    texts.set(
      join('environments', name, entry),
      text.replace(`environment \`${from}\``, `environment \`${name}\``),
    );
  }
  return texts;
}

/** The plan to create the folder of an environment from another one's, with secrets of its own. */
export async function newEnvironment(input: InEnvironment, wanted: Wanted): Promise<Plan> {
  const { root } = input.environment;
  const { name, from } = wanted;
  await checkNewEnvironment(input, name);
  const secrets = await missingSecrets({ name, root }, from);
  const next =
    secrets.length === 0
      ? `environments/${from} has no secrets: create keys (docs/production.md), then run ${taskCommand('make-secrets', name)}`
      : `${taskCommand('create-environment', name)} creates it`;
  return { changes: await settings(root, wanted), secrets, next: `new environment \`${name}\`: ${next}` };
}
