import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runbook } from '../../rig/pages.ts';
import { openVault } from '../sandbox.ts';
import { inKeyring, makeKey } from '../secrets/keyring.ts';
import { login, loginOf, refuses, sandbox, secretsFile, state, status, succeeds } from './shared.ts';

/* Backups of databases and Vault, and their way back by the commands of docs/restore.md. */

export const restore = suite('restore');

const backups = join(sandbox.home, 'backups');
const database = join(backups, 'database');

const sql = async (app: string, statement: string) => login(await loginOf(app), undefined, statement);

/** Undefined if the table has that many rows. */
const hasRows = (app: string, table: string, rows: number) =>
  sql(app, `SELECT 1 / (count(*) = ${rows})::int FROM ${table}`);

/** With the variables of the present environment, whose ports may be others than before. */
const vault = async (words: string): Promise<string> =>
  (await sandbox.script(`eval "$(./run env)"\nvault ${words}`)).stdout.trim();

const secretOfVault = () => vault('kv get -mount=kv -field=word app1/own');

restore('each application has data, and a backup is made of databases and Vault', async () => {
  const table = 'CREATE TABLE notes (id serial PRIMARY KEY, word text)';
  const fill = `INSERT INTO notes (word) SELECT 'word ' || n FROM generate_series(1, 1000) AS n`;
  for (const app of ['app1', 'app2']) assert.is(await sql(app, `${table}; ${fill}`), undefined);
  const odd = 'CREATE SCHEMA extra; CREATE TABLE extra."Odd Name" AS SELECT 1 AS x';
  assert.is(await sql('app2', odd), undefined);
  await vault('kv put -mount=kv app1/own word=remembered');

  const { stdout, stderr } = await sandbox.script(runbook('Back up', ['sh']));
  assert.is(stdout, `${database}\n${join(backups, 'vault')}\n`);
  assert.match(stderr, /app1: 1 table, 1000 rows\n[\s\S]*app2: 2 tables, 1001 rows/);
  for (const folder of ['database', 'vault']) {
    assert.is((await stat(join(backups, folder))).mode & 0o777, 0o700);
    for (const name of await readdir(join(backups, folder)))
      assert.is((await stat(join(backups, folder, name))).mode & 0o777, 0o600, name);
  }
  assert.equal((await readdir(database)).sort(), ['app1.dump', 'app2.dump', 'backup.json']);
  const keys = JSON.parse(await readFile(state('vault/keys.json'), 'utf8'));
  const stored = await readFile(join(backups, 'vault/keys.yaml'), 'utf8');
  for (const key of keys.unseal_keys_b64) assert.not.match(stored, key);
  await refuses(['backup-database', database], 2, /already exists/);
});

restore('a restore refuses what would lose data or is damaged, and changes nothing', async () => {
  const has = /app1 is not empty\n {2}why: it has sequence public\.notes_id_seq, table public\.notes/;
  await refuses(['restore-database', database], 2, /--yes/);
  await refuses(['restore-database', database, '--yes'], 1, has);
  await refuses(['restore-database', database, 'app3', '--yes'], 2, /no database `app3`/);

  const damaged = join(backups, 'damaged');
  await cp(database, damaged, { recursive: true });
  const dump = (await readFile(join(damaged, 'app2.dump'))).subarray(0, -100);
  await writeFile(join(damaged, 'app2.dump'), dump);
  // With the right checksum: pg_restore itself finds it.
  const record = JSON.parse(await readFile(join(damaged, 'backup.json'), 'utf8'));
  record.databases.app2.digest = createHash('sha256').update(dump).digest('hex');
  record.databases.app1.rows['public.notes'] = 999;
  await writeFile(join(damaged, 'backup.json'), JSON.stringify(record));
  const replace = (app: string) => ['restore-database', damaged, app, '--replace', '--yes'];
  await refuses(replace('app2'), 1, /app2\.dump could not be restored/);
  await refuses(replace('app1'), 1, /public\.notes has 1000 rows instead of 999/);

  const cut = join(backups, 'cut');
  await cp(join(backups, 'vault'), cut, { recursive: true });
  const snapshot = await readFile(join(cut, 'raft.snap'));
  await writeFile(join(cut, 'raft.snap'), snapshot.subarray(0, -1000));
  await refuses(['restore-vault', cut, '--yes'], 1, /no whole snapshot .*\n {2}why: it is incomplete/);

  for (const app of ['app1', 'app2']) assert.is(await hasRows(app, 'notes', 1000), undefined);
  assert.is(await secretOfVault(), 'remembered');
});

restore('one database is replaced while its application is connected; the other stays', async () => {
  for (const app of ['app1', 'app2'])
    assert.is(await sql(app, "DELETE FROM notes WHERE word <> 'word 1'"), undefined);
  const { stderr } = await succeeds('restore-database', database, 'app2', '--replace', '--yes');
  assert.match(stderr, /app2: 2 tables, 1001 rows/);
  assert.is(await hasRows('app2', 'notes', 1000), undefined);
  assert.is(await hasRows('app1', 'notes', 1), undefined);
  assert.match((await login({ ...(await loginOf('app2')), DB_NAME: 'app1' })) ?? '', /permission denied/);
  const names = "SELECT 1 / (count(*) = 0)::int FROM pg_database WHERE datname LIKE 'k8s_deployment%'";
  assert.is(await sql('app2', names), undefined);
});

/* The last of all: it changes the sandbox's keys. */
restore('after a disaster, docs/restore.md brings everything back with the backup key', async () => {
  const { DB_PASSWORD: password = '' } = await loginOf('app2');
  const backup = await makeKey(sandbox);
  await writeFile(sandbox.path('sops/backup.public.asc'), backup.open);
  const rules = sandbox.path('.sops.yaml');
  await writeFile(rules, (await readFile(rules, 'utf8')).replace(/7391[0-9A-F]{36}/, backup.fingerprint));
  await succeeds('import-gpg-keys');
  await inKeyring(sandbox, 'sops', 'updatekeys', '--yes', secretsFile());
  await mkdir(join(sandbox.home, 'keys'), { mode: 0o700 });
  await writeFile(join(sandbox.home, 'keys/backup.asc'), backup.secret, { mode: 0o600 });
  await rm(backups, { recursive: true });
  await succeeds('backup-database', database);
  await succeeds('backup-vault', join(backups, 'vault'));

  await succeeds('destroy-environment', '--yes');
  await rm(sandbox.path('sops/development-operational.asc'));
  const { stdout, stderr } = await sandbox.script(runbook('After a disaster'));
  for (const app of ['app1', 'app2'])
    assert.match(stderr, new RegExp(`${app}-back-verification.*ok database login`));
  const { unseal_keys_b64: keys } = JSON.parse(await readFile(state('vault/keys.json'), 'utf8'));
  for (const secret of [password, ...keys]) assert.not.ok((stdout + stderr).includes(secret));
  assert.is(await hasRows('app1', 'notes', 1), undefined);
  assert.is(await hasRows('app2', 'notes', 1000), undefined);
  assert.is(await secretOfVault(), 'remembered');
  assert.equal((await status()).vault, openVault);
});
