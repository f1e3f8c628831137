import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { makeSandbox, readText, type Sandbox } from '../sandbox.ts';
import { openedBy } from './keyring.ts';

/* New and removed applications and environments in a git repository, with the real gpg and sops; no cluster. */

const test = suite('applications and environments');
let sandbox: Sandbox;

const git = async (...words: string[]): Promise<string> => {
  const own = ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-c', 'commit.gpgsign=false'];
  const { stdout } = await promisify(execFile)('git', [...own, ...words], { cwd: sandbox.folder });
  return stdout;
};

/** What git would commit. */
const changes = (): Promise<string> => git('status', '--porcelain', '--untracked-files=all');

test.before(async () => {
  sandbox = await makeSandbox();
  await git('init', '--quiet');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'all');
});
test.after(() => sandbox.remove('development', 'staging'));
test.after.each(async () => {
  await git('checkout', '--quiet', '.');
  await git('clean', '--quiet', '-d', '--force', 'environments');
});

const passwordIn = async (environment: string, name: string): Promise<string | undefined> => {
  const key = sandbox.path('sops/development-operational.asc');
  const text = await openedBy(sandbox, [key], `environments/${environment}/secrets/${name}.yaml`);
  return text === undefined ? undefined : (parse(text) as { password: string }).password;
};

test('an application gets a password in every environment that has secrets, and its removal leaves no trace', async () => {
  const { stdout, stderr } = await sandbox.succeeds('new-app', 'fresh', '--secrets', 'sops', '--verbose');
  const passwords = [await passwordIn('development', 'fresh'), await passwordIn('lab', 'fresh')];
  for (const password of passwords) {
    assert.match(password ?? '', /^[0-9a-f]{32}$/);
    assert.not.ok(`${stdout}${stderr}`.includes(password ?? ''));
  }
  assert.is.not(passwords[0], passwords[1]);
  assert.is(
    await changes(),
    ` M environments/common.yaml
 M helmfile.yaml
?? environments/development/secrets/fresh.yaml
?? environments/lab/secrets/fresh.yaml
`,
  );
  assert.match(stdout, /commit these together: helmfile\.yaml .*environments\/lab\/secrets\/fresh\.yaml$/m);
  const removed = await sandbox.succeeds('remove-app', 'fresh', '--yes');
  assert.match(removed.stdout, 'DROP DATABASE "fresh"; DROP ROLE "fresh";');
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
    await promisify(execFile)('sh', ['-ec', stdout], { cwd: sandbox.folder });
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

test('an environment is copied, with secrets of its own; one without secrets is followed by make-secrets', async () => {
  await sandbox.succeeds('new-environment', 'staging');
  assert.is(
    await changes(),
    '?? environments/staging/secrets/database.yaml\n?? environments/staging/settings.yaml\n',
  );
  assert.match(
    await readText(sandbox.path('environments/staging/settings.yaml')),
    '# The environment `staging`',
  );
  const [known, made] = [
    await passwordIn('development', 'database'),
    await passwordIn('staging', 'database'),
  ];
  assert.ok(made !== undefined && made !== known);
  await sandbox.refuses(['new-environment', 'staging'], 2, /`staging` cannot be the name/);
  await rm(sandbox.path('environments/staging'), { recursive: true });
  const { stdout } = await sandbox.succeeds('new-environment', 'staging', '--from', 'production');
  assert.match(stdout, /create keys .*make-secrets --env staging/);
  assert.is(await changes(), '?? environments/staging/settings.yaml\n');
});

test.run();
