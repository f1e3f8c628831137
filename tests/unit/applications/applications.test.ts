import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkName, newApp, removeApp, type SecretsKind } from '../../../lib/applications/application.ts';
import { makeChanges, planCommands } from '../../../lib/applications/changes.ts';
import { checkNewEnvironment, newEnvironment } from '../../../lib/applications/new-environment.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { environmentNames, loadSettings } from '../../../lib/settings/settings.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { applications } from '../../rig/applications.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { environmentIn, fails } from '../../rig/task-context.ts';

const copy = copyOf('environments', 'helmfile.yaml', 'vault');
const { folder } = copy;
const input = { environment: environmentIn(folder) };
const target = async () => ({
  environment: environmentIn(folder),
  settings: await loadSettings({ name: 'development', provider: 'embedded', root: folder }),
});

test.before.each(copy.reset);

const write = (file: string, text: string): void => fs.writeFileSync(join(folder, file), text);
const textOf = (file: string): string => fs.readFileSync(join(folder, file), 'utf8');
const allTexts = (): string =>
  (fs.readdirSync(folder, { recursive: true }) as string[])
    .sort()
    .map((file) => `${file}\n${fs.statSync(join(folder, file)).isFile() ? textOf(file) : ''}`)
    .join('\n');

async function add(name: string, secrets: SecretsKind): Promise<void> {
  const { changes } = await newApp(await target(), { name, secrets });
  const file = [`environments/development/secrets/${name}.yaml`, 'password: x\n'] as const;
  await makeChanges(folder, new Map([...changes, ...(secrets === 'sops' ? [file] : [])]));
}

const remove = async (app: string): Promise<void> =>
  makeChanges(folder, (await removeApp(input, app)).changes);

async function loadAll(): Promise<void> {
  for (const name of await environmentNames(folder))
    await loadSettings({ name, provider: 'existing', root: folder });
  await loadSettings({ name: 'development', provider: 'embedded', root: folder });
}

const known = applications.map(({ name }) => name);

test('a new application is declared: releases, role, and with Vault its access; removed it leaves every file as it was', async () => {
  const before = allTexts();
  await add('fresh', 'vault');
  await add('other', 'sops');
  await loadAll();
  const releases = await declaredReleases(folder, { tier: 'apps' });
  const declared = releases.slice(-4).map(({ id, app, needs }) => [id, app, ...needs].join(' '));
  assert.equal(declared, [
    'backend/fresh-back fresh core/devops database/postgresql vault/vault-operator',
    'frontend/fresh-front fresh backend/fresh-back',
    'backend/other-back other core/devops database/postgresql',
    'frontend/other-front other backend/other-back',
  ]);
  const { database } = await loadSettings({ name: 'production', provider: 'existing', root: folder });
  assert.equal(Object.keys(database.applications), [...known, 'fresh', 'other']);
  assert.equal(database.applications.other, { password: 'sops://other.yaml#/password' });
  const { mounts } = await loadDesiredState(join(folder, 'vault'));
  const logins = mounts.flatMap((mount) => mount.logins.map(({ name }) => name));
  assert.ok(logins.includes('fresh-back') && !logins.includes('other-back'));
  for (const app of ['fresh', 'other']) await remove(app);
  assert.is(allTexts(), before);
  await add('fresh', 'vault');
  await add('other', 'sops');
  for (const app of ['other', 'fresh']) await remove(app);
  assert.is(allTexts(), before, 'in any order');
});

test('all applications can be removed, those of the project too, and new ones be added', async () => {
  for (const app of known) {
    await remove(app);
    await loadAll();
    assert.not.match(allTexts(), new RegExp(`\\b${app}-(?:back|front)`), app);
  }
  await loadDesiredState(join(folder, 'vault'));
  assert.match(textOf('environments/common.yaml'), /^ {2}applications: \{\}$/m);
  await add('fresh', 'vault');
  await loadAll();
  assert.is((await declaredReleases(folder, { app: 'fresh' })).length, 2);
  const { policies } = await loadDesiredState(join(folder, 'vault'));
  assert.ok(policies.some(({ name }) => name === 'fresh-back'));
});

test('pasted commands remove the secrets file only if their patch fits', async () => {
  await add('fresh', 'sops');
  const [commands = ''] = await planCommands(input, await removeApp(input, 'fresh'));
  const secrets = join(folder, 'environments/development/secrets/fresh.yaml');
  write('helmfile.yaml', 'releases: []\n');
  const paste = () => spawnSync('sh', ['-c', commands], { cwd: folder, encoding: 'utf8' });
  assert.match(paste().stderr, /patch does not apply/);
  assert.ok(fs.existsSync(secrets));
  copy.reset();
  await add('fresh', 'sops');
  assert.is(paste().status, 0);
  assert.not.ok(fs.existsSync(secrets));
});

test('what a killed `remove-app` or `new-app` has begun, `remove-app` finishes', async () => {
  const removing = (app: string) => async () => (await removeApp(input, app)).changes;
  const adding = async () => (await newApp(await target(), { name: 'fresh', secrets: 'vault' })).changes;
  const nothing = async () => undefined;
  for (const [app, prepare, changes] of [
    ['app1', nothing, removing('app1')],
    ['fresh', () => add('fresh', 'sops'), removing('fresh')],
    ['fresh', nothing, adding],
  ] as const) {
    copy.reset();
    await prepare();
    await remove(app);
    const removed = allTexts();
    for (let written = 1, files = 2; written < files; written++) {
      copy.reset();
      await prepare();
      const all = [...(await changes())];
      files = all.length;
      await makeChanges(folder, new Map(all.slice(0, written)));
      const where = `${app}: ${written} of ${files} files`;
      // Its argument is one of the applications of helmfile.yaml.
      assert.ok((await declaredReleases(folder, { app })).length > 0, where);
      await remove(app);
      assert.is(allTexts(), removed, where);
    }
  }
});

test('a secret in a file with others is not removed, but named', async () => {
  const { left = [], changes } = await removeApp(input, 'app2');
  const kept = /^environments\/(\w+)\/secrets\/database\.yaml keeps `app2Password`/;
  const environments = left.flatMap((line) => kept.exec(line)?.[1] ?? []);
  assert.equal(environments, ['development', 'lab']);
  assert.not.ok([...changes.keys()].some((file) => file.includes('secrets/')));
});

test('an application that others need, or whose anchor they use, is not removed, nor one from damaged settings', async () => {
  const before = textOf('helmfile.yaml');
  write('helmfile.yaml', before.replace('needs: [backend/app2-back]', 'needs: [backend/app1-back]'));
  await fails(remove('app1'), { why: 'the release `app2-front` needs it' });
  write('helmfile.yaml', before);
  const file = 'environments/development/settings.yaml';
  write(file, 'releases:\n  app1-back: &back\n    replicas: 2\n  app2-back: *back\n');
  const anchored = { what: `app1 cannot be removed from ${file}`, why: /`\*back` has no anchor above it/ };
  await fails(remove('app1'), anchored);
  write(file, 'releases: {\n');
  await fails(remove('app1'), { what: new RegExp(`^${file}:2 is not valid YAML`) });
  assert.is(textOf('helmfile.yaml'), before);
});

test('a name is refused that Kubernetes, PostgreSQL, helm or YAML would not take, or that is taken', async () => {
  const input = await target();
  const long = 'a'.repeat(47);
  await checkName(input, long);
  for (const [why, ...names] of [
    ['a-z and 0-9', 'App', '1app', 'my-app', 'my_app', 'a.b', '', '../x', 'ä', `${long}a`],
    ['YAML readers do not all', 'null', 'true', 'yes', 'on', 'n'],
    ['a meaning', 'user', 'public', 'none', 'all', 'superuser', 'prototype'],
    ['has the release `app1-back` of `app1`, which `npx tsx tasks.ts remove-app app1` removes', 'app1'],
    ['has the release `vault`', 'vault'],
    ['PostgreSQL has another', 'postgres', 'template0'],
    ['secrets/database.yaml exists', 'database'],
    ['secrets/authority.yaml is the file of', 'authority'],
  ])
    for (const name of names)
      assert.match((await fails(checkName(input, name), { exitCode: 2 })).why ?? '', why ?? '', name);
});

test('a new environment needs a name that none has, has had, or could not have', async () => {
  fs.mkdirSync(join(folder, '.state/old'), { recursive: true });
  for (const [name, why] of [
    ['Staging', /at most 50/],
    ['development', /environments\/development exists/],
    ['cloud', /environments\/cloud exists/],
    ['common', /environments\/common\.yaml exists/],
    ['old', /its folder was removed/],
  ] as const)
    await fails(checkNewEnvironment(input, name), { why, exitCode: 2 });
  await checkNewEnvironment(input, 'staging');
});

test('a new environment has files that are links in the other one', async () => {
  const from = join(folder, 'environments/linked');
  fs.mkdirSync(from);
  fs.symlinkSync('../lab/settings.yaml', join(from, 'settings.yaml'));
  // As editors write one beside an open file.
  fs.symlinkSync('user@host.1', join(from, '.#settings.yaml'));
  write('environments/linked/settings.yaml~', '');
  const plan = await newEnvironment(input, { name: 'staging', from: 'linked' });
  const commands = (await planCommands(input, plan)).join('\n');
  assert.match(commands, '+++ b/environments/staging/settings.yaml\n');
  assert.not.match(commands, 'settings.yaml~');
});

test('a file that is a link elsewhere stays one, and its target is changed', async () => {
  write('shared.yaml', textOf('environments/common.yaml'));
  fs.rmSync(join(folder, 'environments/common.yaml'));
  fs.symlinkSync('../shared.yaml', join(folder, 'environments/common.yaml'));
  await add('fresh', 'vault');
  assert.match(textOf('shared.yaml'), 'fresh: { password: "" }');
});

test('if one file cannot be written, all are as before, and no new folder stays', async () => {
  const before = allTexts();
  const changes = new Map([
    ...(await newApp(await target(), { name: 'fresh', secrets: 'vault' })).changes,
    ['environments/staging/settings.yaml', '{}\n'],
    // The parent is a file.
    ['helmfile.yaml/x', ''],
  ]);
  await fails(makeChanges(folder, changes), { what: 'the files cannot be changed; all are as before' });
  assert.is(allTexts(), before);
});

test.run();
