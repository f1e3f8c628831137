import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { refuseDevelopmentKeys, type Secured } from '../../../lib/secrets/development-keys.ts';
import { checkPlace } from '../../../lib/secrets/key-place.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { environmentIn } from '../../rig/environment.ts';
import { failureOf } from '../../rig/task-context.ts';

const file = 'environments/development/secrets/database.yaml';
const operational = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
const own = '0123456789ABCDEF0123456789ABCDEF01234567';

const test = suite<{ folder: string }>('development keys');

test.before.each((state) => {
  state.folder = mkdtempSync(join(tmpdir(), 'k8sd-'));
  for (const entry of ['.sops.yaml', file, 'sops'])
    cpSync(join(root, entry), join(state.folder, entry), { recursive: true });
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

/** Replaces a fingerprint in a file; the rest of the text stays. */
function rename(folder: string, path: string, from: string, to: string): void {
  const full = join(folder, path);
  writeFileSync(full, readFileSync(full, 'utf8').replaceAll(from, to));
}

type Choice = { readonly production?: boolean; readonly setting?: boolean; readonly option?: boolean };

const input = (folder: string, provider: ProviderName, choice: Choice = {}): Secured => ({
  environment: environmentIn(folder, provider),
  settings: {
    production: choice.production ?? false,
    sops: { key: 'sops/development-operational.asc', allowDevelopmentKeys: choice.setting ?? false },
  } as Settings,
  options: { allowDevelopmentKeys: choice.option ?? false },
});

const refusal = (folder: string, provider: ProviderName = 'existing', choice?: Choice) =>
  failureOf(refuseDevelopmentKeys(input(folder, provider, choice)));

test('an environment on this machine may use them', async ({ folder }) => {
  await refuseDevelopmentKeys(input(folder, 'embedded'));
  await refuseDevelopmentKeys(input(folder, 'minikube'));
});

test('an existing cluster and `production: true` refuse them, and name the key and its file', async ({
  folder,
}) => {
  const error = await refusal(folder);
  assert.is(error.exitCode, 2);
  assert.is(error.what, `${file} is encrypted for a development key, ${operational}`);
  assert.match(error.why, /^the provider is `existing`/);
  assert.match(error.advice, /sops\/README\.md.*--allow-development-keys.*sops\.allowDevelopmentKeys/);
  const production = await refusal(folder, 'embedded', { production: true });
  assert.match(production.why, /^environment `development` says `production: true`/);
});

test('the option or the setting allows them', async ({ folder }) => {
  await refuseDevelopmentKeys(input(folder, 'existing', { option: true }));
  await refuseDevelopmentKeys(input(folder, 'existing', { production: true, setting: true }));
});

test('keys are known by their fingerprint: in a file, in the rule for new ones, short or in small letters', async ({
  folder,
}) => {
  // whatever the key's file is called
  const key = join(folder, 'sops/development-operational.asc');
  renameSync(key, join(dirname(key), 'ours.asc'));
  assert.match((await refusal(folder)).what, operational);

  rename(folder, file, operational, own);
  assert.is((await refusal(folder)).what, `${file} is encrypted for a development key, ${backup}`);
  rename(folder, file, backup, backup.slice(-16).toLowerCase());
  assert.match((await refusal(folder)).what, backup.slice(-16));
  rename(folder, file, backup.slice(-16).toLowerCase(), own);
  assert.match((await refusal(folder)).what, /^the rule in \.sops\.yaml names a development key, /);

  rename(folder, '.sops.yaml', operational, own);
  rename(folder, '.sops.yaml', backup, own);
  assert.match((await refusal(folder)).what, `names no backup key beside ${own}`);
  rename(folder, '.sops.yaml', own, `${own.slice(1)}0, ${own}`);
  await refuseDevelopmentKeys(input(folder, 'existing'));
  // the part of the key that encrypts
  rename(folder, file, own, '16BB85A2A93D4E4FDB1634EE10523AE52C17DD10');
  assert.match((await refusal(folder)).what, '16BB85A2A93D4E4FDB1634EE10523AE52C17DD10');
});

test('where they are refused, no new one is created', async ({ folder }) => {
  const error = await failureOf(checkPlace(input(folder, 'existing'), undefined));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'a new development key would protect nothing');
  await checkPlace(input(folder, 'existing'), '/nonexistent/own.asc');
  await checkPlace(input(folder, 'embedded'), undefined);
});

test('your own key goes neither into the project nor over another file', async ({ folder }) => {
  const place = (path: string) => failureOf(checkPlace(input(folder, 'embedded'), path));
  assert.match((await place(join(folder, 'sops/own.asc'))).what, /sops\/own\.asc lies in the project$/);
  symlinkSync(folder, `${folder}-link`);
  assert.match((await place(`${folder}-link/own.asc`)).what, /lies in the project$/);
  rmSync(`${folder}-link`);
  const error = await place('/etc/passwd');
  assert.equal([error.what, error.exitCode], ['/etc/passwd already exists', 2]);
});

test.run();
