import { execFile } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AnyTask, Options } from '../../../lib/runner/runner.ts';
import type { Secured } from '../../../lib/secrets/development-keys.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/secrets/development-keys.ts');
};

const test = suite<State>('development keys');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('secrets/development-keys.ts');
});
test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

const here: Options = { env: 'development', provider: 'embedded' };
const elsewhere: Options = { env: 'development', provider: 'existing', context: 'team' };

/** Adds settings to those of the environment. */
const set = ({ clone }: State, text: string): void =>
  writeFileSync(join(clone.folder, 'environments/development/more.yaml'), text);

const file = 'environments/development/secrets/database.yaml';
const operational = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
const own = '0123456789ABCDEF0123456789ABCDEF01234567';

/** Replaces fingerprints in a file of the clone; the rest of the text is left. */
function rename({ clone }: State, path: string, from: string, to: string): void {
  const full = join(clone.folder, path);
  writeFileSync(full, readFileSync(full, 'utf8').replaceAll(from, to));
}

/** What a task's check is given. */
async function input({ clone }: State, options: Options): Promise<Secured> {
  const { environmentOf, settingsOf } =
    await clone.lib<typeof import('../../../lib/settings/environment.ts')>('settings/environment.ts');
  const environment = environmentOf(options);
  const settings = await settingsOf(environment);
  return { environment, settings, options: { allowDevelopmentKeys: options.allowDevelopmentKeys === true } };
}

const refuse = async (state: State, options: Options): Promise<void> =>
  state.lib.refuseDevelopmentKeys(await input(state, options));

const refusal = (state: State, options: Options) => failureOf(refuse(state, options));

test('a development environment accepts them', async (state) => {
  await refuse(state, here);
  await refuse(state, { ...here, provider: 'minikube' });
});

test('provider existing and `production: true` refuse them, naming key and file', async (state) => {
  const error = await refusal(state, elsewhere);
  assert.is(error.exitCode, 2);
  assert.is(error.what, `${file} is encrypted for a development key, ${operational}`);
  assert.match(error.why ?? '', /^the provider is `existing`/);
  assert.match(error.advice ?? '', /sops\/README\.md.*--allow-development-keys.*sops\.allowDevelopmentKeys/);
  set(state, 'production: true');
  assert.match((await refusal(state, here)).why ?? '', /^environment `development` says `production: true`/);
});

test('the option or the setting allows them', async (state) => {
  await refuse(state, { ...elsewhere, allowDevelopmentKeys: true });
  set(state, 'production: true\nsops: { allowDevelopmentKeys: true }');
  await refuse(state, elsewhere);
});

test('keys are known by their fingerprint: in a file, in the rule for new ones, short or in small letters', async (state) => {
  const { clone } = state;
  const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
  // whatever the key's file is called
  renameSync(join(clone.folder, 'sops/development-operational.asc'), join(clone.folder, 'sops/ours.asc'));
  assert.match((await refusal(state, elsewhere)).what, operational);
  renameSync(join(clone.folder, 'sops/ours.asc'), join(clone.folder, 'sops/development-operational.asc'));

  rename(state, file, operational, own);
  assert.match(
    (await refusal(state, elsewhere)).what,
    `${file} is encrypted for a development key, ${backup}`,
  );
  rename(state, file, backup, backup.slice(-16).toLowerCase());
  assert.match((await refusal(state, elsewhere)).what, backup.slice(-16));
  rename(state, file, backup.slice(-16).toLowerCase(), own);
  assert.match((await refusal(state, elsewhere)).what, /^the rule for them in \.sops\.yaml is encrypted/);

  const rules = readFileSync(join(clone.folder, '.sops.yaml'), 'utf8');
  try {
    rename(state, '.sops.yaml', operational, own);
    rename(state, '.sops.yaml', backup, own);
    await refuse(state, elsewhere);
    // the part of the key that encrypts
    rename(state, file, own, '16BB85A2A93D4E4FDB1634EE10523AE52C17DD10');
    assert.match((await refusal(state, elsewhere)).what, '16BB85A2A93D4E4FDB1634EE10523AE52C17DD10');
  } finally {
    writeFileSync(join(clone.folder, '.sops.yaml'), rules);
  }
});

const guarded = [
  'install-all',
  'install-tier',
  'install-app',
  'init-vault',
  'make-secrets',
  'rotate-database-password',
];

test('tasks that deploy secrets check first; those that only read or remove do not', async ({ clone }) => {
  const { tasks } = (await import(join(clone.folder, 'tasks/all.ts'))) as { tasks: readonly AnyTask[] };
  const refusing: string[] = [];
  for (const task of tasks) {
    if (['edit-secrets', 'rotate-keys'].includes(task.name)) continue;
    const asked = async () => task.check?.({ args: { mode: 'create' }, options: elsewhere, passThrough: [] });
    await asked().catch(() => refusing.push(task.name));
  }
  assert.equal(refusing.sort(), [...guarded].sort());
});

/** A run of the clone's own command line, without any tool. */
const run = (clone: ScriptedClone, ...words: readonly string[]) =>
  new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
    const args = ['--import', 'tsx', 'tasks.ts', ...words, '--provider', 'existing', '--context', 'team'];
    const env = { PATH: '', HOME: '/nonexistent', CI: '1' };
    execFile(process.execPath, args, { cwd: clone.folder, env }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });

test('a run is refused before it does anything; its dry run is not', async ({ clone }) => {
  const before = clone.files();
  const refused = await run(clone, 'create-environment');
  assert.is(refused.exitCode, 2);
  assert.match(
    refused.stderr,
    /^error: environments\/development\/secrets\/database\.yaml is encrypted for a/,
  );
  assert.is(refused.stdout, '');
  assert.ok(refused.stderr.split('\n').length <= 12);
  assert.equal(clone.files(), before);
  assert.is((await run(clone, 'create-environment', '--dry-run')).exitCode, 0);
  const allowed = await run(clone, 'install-app', 'app1', '--allow-development-keys');
  assert.not.match(allowed.stderr, 'development key');
  // no tool is there
  assert.match(allowed.stderr, 'gpg');
});

test('where they are refused, no new one is created', async (state) => {
  const { checkPlace } =
    await state.clone.lib<typeof import('../../../lib/secrets/key-place.ts')>('secrets/key-place.ts');
  const error = await failureOf(checkPlace(await input(state, elsewhere), undefined));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'a new development key would protect nothing');
  await checkPlace(await input(state, elsewhere), '/nonexistent/own.asc');
  await checkPlace(await input(state, here), undefined);
});

test.run();
