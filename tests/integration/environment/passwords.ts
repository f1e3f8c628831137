import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  generationOf,
  login,
  loginOf,
  refuses,
  sandbox,
  secretsFile,
  settingsFile,
  somebody,
  state,
  succeeds,
  until,
  withFile,
} from './shared.ts';

export const passwords = suite('passwords');

passwords('a rotation that failed half-way is completed with the same passwords, everywhere', async () => {
  const encrypted = async () => (await somebody(`sops decrypt ${secretsFile()}`)).split('\n').sort();
  const before = { file: await encrypted(), secret: await loginOf('app2') };
  const generation = await generationOf('app2-back');
  await refuses(['rotate-database-password'], 2, /--yes/);

  const chosen = state('database-rotation.json');
  let [wanted, printed] = ['', ''];
  const wrongUser = (text: string) =>
    text.replace('releases:\n', 'releases:\n  postgresql: { user: "Not SQL" }\n');
  await withFile(settingsFile(), wrongUser, async () => {
    const { exitCode, stdout, stderr } = await sandbox.task('rotate-database-password', '--yes');
    assert.is(exitCode, 1);
    printed = stdout + stderr;
    const said = /the rotation is not finished: .*\n {2}why: [\s\S]*run `.* rotate-database-password` again/;
    assert.match(stderr, said);
    assert.is((await stat(chosen)).mode & 0o777, 0o600);
    const roles = JSON.parse(await readFile(chosen, 'utf8'));
    assert.equal(Object.keys(roles), ['postgres', 'app2', 'vault']);
    wanted = roles.app2.new;
    assert.match((await succeeds('status')).stdout, /the rotation of postgres, app2, vault is not finished/);
  });

  const { stdout, stderr } = await succeeds('rotate-database-password', '--yes');
  printed += stdout + stderr;
  assert.match(stderr, /changed in the server: postgres, app2, vault/);
  // Vault came before what failed.
  assert.match(printed, /changed {3}database connection database\/config\/postgresql \(password\)/);
  assert.match(stderr, /app2-back-verification.*ok database login/);
  const after = { file: await encrypted(), secret: await loginOf('app2') };
  assert.equal([after.file.length, after.secret.DB_PASSWORD], [3, wanted]);
  for (const line of before.file) assert.not.ok(after.file.includes(line));
  for (const line of [...before.file, ...after.file])
    assert.not.ok(printed.includes(line.split(': ')[1] ?? ''));
  assert.is(await login(after.secret), undefined);
  assert.match((await login(before.secret)) ?? '', /password authentication failed/);
  assert.ok((await generationOf('app2-back')) > generation);
  assert.not.ok(existsSync(chosen));
});

passwords('a password in the file other than the server’s is reported, and a rotation fixes it', async () => {
  const file = secretsFile();
  const byHand = (key: string) =>
    somebody(`echo '"by-hand-in-the-file"' | sops set --value-stdin ${file} '["${key}"]'`);
  const told = async () => (await succeeds('status')).stdout;
  const before = await readFile(file, 'utf8');
  await byHand('password');
  assert.match(await told(), /reachable; refuses the password of the encrypted file/);
  await byHand('app2Password');
  const secret = await loginOf('app2');
  const refused = await sandbox.task('install-app', 'app2');
  assert.is(refused.exitCode, 1);
  assert.match(refused.stderr, /the database refuses the password of `postgres`[\s\S]*nothing was changed/);
  assert.match(refused.stderr, /run `.* rotate-database-password`/);
  assert.equal(await loginOf('app2'), secret);
  await writeFile(file, before);
  await byHand('app2Password');
  const other = /the database refuses the encrypted password of app2\n.*nothing was changed\n.*git pull/;
  await refuses(['rotate-database-password', 'superuser', '--yes'], 1, other);
  await writeFile(file, before);
  await byHand('password');
  const { stdout } = await succeeds('rotate-database-password', 'superuser', '--yes');
  assert.match(stdout, 'commit: environments/development/secrets/database.yaml\n');
  await until(async () => /database {5}reachable\n/.test(await told()), 'the database is well');
});
