import { rename, rm, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { outputOf } from '../../rig/programs.ts';
import { makeSandbox, readText } from '../sandbox.ts';
import { openedBy } from './keyring.ts';

/* New and removed applications and environments in a git repository, with the real gpg and sops; no cluster. */

const test = suite('applications and environments');
const sandbox = await makeSandbox();
sandbox.removeAfter(test, 'development', 'staging', 'first');

const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
const git = (...words: string[]) => outputOf(sandbox, 'git', [...author, ...words]);

const changes = (): Promise<string> => git('status', '--porcelain', '--untracked-files=all');

await git('init', '--quiet');
await git('add', '--all');
await git('commit', '--quiet', '--message', 'all');
test.after.each(async () => {
  await git('checkout', '--quiet', '.');
  await git('clean', '--quiet', '-d', '--force', 'environments');
});

/** The values of a secrets file, which the development key opens. */
async function valuesIn(environment: string, name: string): Promise<Record<string, string>> {
  const key = sandbox.path('sops/development-operational.asc');
  return parse((await openedBy(sandbox, [key], `environments/${environment}/secrets/${name}.yaml`)) ?? '{}');
}

test('an application gets a password in every environment that has secrets, and its removal leaves no trace', async () => {
  const { stdout, stderr } = await sandbox.succeeds('new-app', 'fresh', '--secrets', 'sops', '--verbose');
  const [one, other] = [await valuesIn('development', 'fresh'), await valuesIn('lab', 'fresh')];
  for (const { password = '' } of [one, other]) {
    assert.match(password, /^[0-9a-f]{32}$/);
    assert.not.ok(`${stdout}${stderr}`.includes(password));
  }
  assert.is.not(one.password, other.password);
  const added = ['development', 'lab'].map((name) => `?? environments/${name}/secrets/fresh.yaml\n`);
  assert.is(await changes(), ` M environments/common.yaml\n M helmfile.yaml\n${added.join('')}`);
  assert.match(stdout, /commit these together: helmfile\.yaml .*environments\/lab\/secrets\/fresh\.yaml$/m);
  const removed = await sandbox.succeeds('remove-app', 'fresh', '--yes');
  assert.match(removed.stdout, 'DROP DATABASE "fresh"; DROP ROLE "fresh";');
  assert.match(removed.stdout, 'install-app devops` removes the Secret');
  assert.is(await changes(), '');
});

test('runs for two environments add both applications', async () => {
  const add = (name: string, env: string) =>
    sandbox.succeeds('new-app', name, '--secrets', 'vault', '--env', env);
  await Promise.all([add('fresh', 'development'), add('other', 'lab')]);
  const changed = await git('diff', '--unified=0');
  for (const name of ['fresh', 'other']) assert.match(changed, `+  - name: ${name}-back`);
});

test('the plain commands do the same', async () => {
  await sandbox.succeeds('new-app', 'fresh', '--secrets', 'vault');
  await sandbox.succeeds('new-app', 'other', '--secrets', 'vault');
  await sandbox.succeeds('remove-app', 'fresh', '--yes');
  const before = await git('diff');
  await git('checkout', '--quiet', '.');
  for (const words of [
    ['new-app', 'fresh', '--secrets', 'vault'],
    ['new-app', 'other', '--secrets', 'vault'],
    ['remove-app', 'fresh'],
  ]) {
    const { stdout } = await sandbox.succeeds(...words, '--dry-run');
    await outputOf(sandbox, 'sh', ['-ec', stdout]);
  }
  assert.is(await git('diff'), before);
  assert.match(before, '+  - name: other-back');
});

test('if a password cannot be encrypted, no file is changed', async () => {
  const rules = await readText(sandbox.path('.sops.yaml'));
  const lost = '0123456789ABCDEF0123456789ABCDEF01234567';
  const rule = `creation_rules:\n  - path_regex: environments/lab/\n    pgp: ${lost}\n`;
  await writeFile(sandbox.path('.sops.yaml'), rules.replace('creation_rules:\n', rule));
  const said = new RegExp(`environments/lab/secrets/fresh\\.yaml cannot be encrypted[\\s\\S]*${lost}`);
  await sandbox.refuses(['new-app', 'fresh', '--secrets', 'sops'], 1, said);
  assert.is(await changes(), ' M .sops.yaml\n');
});

test('a rule that leaves values in plain text is named', async () => {
  const [rules, file] = [sandbox.path('.sops.yaml'), 'environments/lab/secrets/database.yaml'];
  await writeFile(rules, `${(await readText(rules)).trimEnd()}\n    encrypted_regex: ^app\n`);
  await rm(sandbox.path(file));
  const { stderr } = await sandbox.task('make-secrets', '--env', 'lab');
  assert.match(stderr, `the rule for ${file} in .sops.yaml does not encrypt all values`);
  assert.match(stderr, 'it leaves password,vaultPassword in plain text');
});

test('new-environment takes the secrets of the environment it copies, with all their names', async () => {
  // Names are read without a key.
  const odd = 'smtp: { user: x }\n"a: b": x\nlist: [x, x]\nempty: ""\n';
  await writeFile(sandbox.path('environments/lab/secrets/odd.yaml'), odd);
  await rename(sandbox.path('environments/development'), sandbox.path('environments/first'));
  await sandbox.succeeds('new-environment', 'copied', '--from', 'lab', '--env', 'first');
  const copied = JSON.stringify(await valuesIn('copied', 'odd')).replaceAll(/[0-9a-f]{32}/g, 'x');
  assert.is(copied, '{"smtp":{"user":"x"},"a: b":"x","list":["x","x"],"empty":"x"}');
});

test('an environment is copied, with secrets of its own; missing ones are made by make-secrets', async () => {
  await sandbox.succeeds('new-environment', 'staging');
  const secrets = 'environments/staging/secrets/database.yaml';
  const settings = 'environments/staging/settings.yaml';
  assert.is(await changes(), `?? ${secrets}\n?? ${settings}\n`);
  assert.match(await readText(sandbox.path(settings)), '# The environment `staging`');
  const known = await valuesIn('development', 'database');
  assert.is.not((await valuesIn('staging', 'database')).password ?? known.password, known.password);
  const file = sandbox.path(secrets);
  await rm(file);
  const { stdout, stderr } = await sandbox.succeeds('make-secrets', '--env', 'staging', '--verbose');
  const made = await valuesIn('staging', 'database');
  assert.equal(Object.keys(made).sort(), Object.keys(known).sort());
  const values = Object.values(made);
  assert.is(new Set([...values, ...Object.values(known)]).size, 2 * values.length);
  for (const value of values) {
    assert.match(value, /^[0-9a-f]{32}$/);
    assert.not.ok(`${stdout}${stderr}`.includes(value));
  }
  const before = await readText(file);
  await sandbox.succeeds('make-secrets', '--env', 'staging');
  assert.is(await readText(file), before, 'an existing file stays');

  const from = await sandbox.succeeds('new-environment', 'customer', '--from', 'production');
  assert.match(from.stdout, /create keys .*make-secrets --env customer/);
  assert.match(await changes(), /^\?\? environments\/customer\/settings\.yaml$/m);
  assert.not.match(await changes(), 'customer/secrets');
});

test.run();
