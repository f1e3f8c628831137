import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCheck } from '../../../lib/cluster/embedded/run-check.ts';
import { acceptsLogin, isPostgresqlReady, type Login, withLogin } from '../../../lib/database/login.ts';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { root } from '../../../lib/ground/project.ts';
import { lostRole, setPassword } from '../../../lib/rotation/passwords.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { databaseServer } from './server.ts';

/*
 * The roles and databases of the chart's SQL on a real server: by the tasks, as on the embedded cluster, and by the
 * script that the chart's Job runs with psql.
 */

const awkward = `p'ss "wörd" \\ $$ %I : {}`;
const wanted = (app2: string, vault = 'of vault', app1 = '') =>
  JSON.stringify({
    applications: { app1: { password: app1 }, app2: { password: app2 } },
    issuers: { vault: { password: vault } },
  });

const test = suite('roles and databases');
const serverName = 'postgresql.database.svc.example';
// It logs as much as it can.
const logged = { log_statement: 'all', log_min_duration_statement: '0', log_transaction_sample_rate: '1' };
const server = await databaseServer(serverName, logged);
const { ask, authority, authorityFile, login } = server;
test.after(() => server.remove());

type As = { readonly user: string; readonly password: string; readonly database: string };
const app2 = (password: string): As => ({ user: 'app2', password, database: 'app2' });
const vaultAs = (password: string): As => ({ user: 'vault', password, database: 'postgres' });

const messageOf = (attempt: Promise<unknown>): Promise<string> => attempt.then(() => '', String);

const refusal = (sql: string, as?: Partial<Login>) => messageOf(ask(sql, as));

const accepts = (as: As) => acceptsLogin({ ...login, ...as });
const setUp = (app2: string, vault?: string, app1?: string) =>
  setUpDatabases((use) => use(login), wanted(app2, vault, app1));

test('sets up a new server, with any password', async () => {
  assert.ok(await isPostgresqlReady('127.0.0.1', login.port, 60_000));
  assert.equal(await setUp(awkward), ['app1', 'app2']);
  const rows = await ask(`SELECT rolname, rolsuper, rolcreaterole, rolcanlogin, rolcreatedb FROM pg_roles
      WHERE rolname IN ('app1', 'app2', 'vault') ORDER BY rolname`);
  assert.equal(
    rows.map((row) => Object.values(row).join(' ')),
    ['app1 false false false false', 'app2 false false true false', 'vault false true true false'],
  );
});

test('an application owns its database and cannot connect to others', async () => {
  const own = app2(awkward);
  assert.is(await refusal('CREATE TABLE things (id integer)', own), '');
  for (const database of ['app1', 'postgres', 'template1'])
    assert.match(await refusal('SELECT 1', { ...own, database }), /permission denied for database/);
  for (const sql of ['CREATE ROLE another', "ALTER ROLE vault PASSWORD 'x'"])
    assert.match(await refusal(sql, own), /permission denied/);
});

test('a second run changes only passwords, and reverts manual changes', async () => {
  for (const sql of ['ALTER ROLE app2 SUPERUSER', 'ALTER DATABASE app2 OWNER TO postgres']) await ask(sql);
  await ask('ALTER SCHEMA public OWNER TO postgres', { database: 'app2' });
  await setUp('new', 'newer');
  assert.not.ok(await accepts(app2(awkward)));
  assert.ok(await accepts(app2('new')));
  assert.ok(await accepts(vaultAs('newer')));
  const [found] = await ask(
    `SELECT rolsuper, pg_get_userbyid(datdba) AS database, pg_get_userbyid(nspowner) AS schema
      FROM pg_roles, pg_database, pg_namespace WHERE rolname = 'app2' AND datname = 'app2' AND nspname = 'public'`,
    { database: 'app2' },
  );
  assert.equal(found, { rolsuper: false, database: 'app2', schema: 'app2' });
});

test('an application can switch from Vault’s logins to its own password and back', async () => {
  const app1 = { user: 'app1', password: 'own', database: 'app1' };
  // From PostgreSQL 16 on, it depends on Vault's right to give the role.
  await ask(`CREATE ROLE "v-app1-2" LOGIN IN ROLE app1`, vaultAs('newer'));
  await setUp('new', 'newer', 'own');
  assert.ok(await accepts(app1));
  const isMember = "SELECT pg_has_role('vault', 'app1', 'MEMBER') AS member";
  assert.equal(await ask(isMember), [{ member: false }]);
  await setUp('new', 'newer');
  assert.not.ok(await accepts(app1));
  const again = 'CREATE ROLE "v-app1-3" LOGIN IN ROLE app1; DROP ROLE "v-app1-3"';
  assert.is(await refusal(`DROP ROLE "v-app1-2"; ${again}`, vaultAs('newer')), '');
});

test('the superuser’s own database is created if it is another one, and `postgres` stays closed', async () => {
  const own = { ...login, database: 'platform' };
  await ask('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
  for (let run = 1; run <= 2; run += 1)
    assert.equal(await setUpDatabases((use) => use(own), wanted('new', 'newer')), ['app1', 'app2']);
  assert.ok(await accepts({ ...vaultAs('newer'), database: 'platform' }));
  for (const database of ['platform', 'postgres'])
    assert.match(await refusal('SELECT 1', { ...app2('new'), database }), /permission denied/);
  await setUp('new', 'newer');
});

/** The chart's script, as in its Job; with `more` variables. */
function script(roles: string, more: NodeJS.ProcessEnv = {}) {
  const set = {
    ...{ PGHOST: serverName, PGHOSTADDR: '127.0.0.1', PGPORT: String(login.port) },
    ...{ PGSSLMODE: 'verify-full', PGSSLROOTCERT: authorityFile },
    ...{ PGUSER: 'postgres', PGDATABASE: 'postgres', PGPASSWORD: login.password, DATABASE_ROLES: roles },
  };
  const file = join(root, 'charts/postgresql/files/set-up/set-up.sh');
  return ended(spawn('sh', [file], { env: { PATH: process.env.PATH, ...set, ...more } }));
}

test('the chart’s script waits up to its time limit for a server that does not answer yet', async () => {
  const folder = temporaryFolder();
  const calls = join(folder, 'calls');
  // It answers from the third question on.
  const programs = { pg_isready: `echo >> ${calls}; [ "$(wc -l < ${calls})" -ge 3 ]`, sleep: ':' };
  for (const [name, text] of Object.entries(programs))
    await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const asked = async (seconds: string) => {
    await writeFile(calls, '');
    const more = { PATH: `${folder}:${process.env.PATH}`, WAIT_SECONDS: seconds };
    await script('{"applications": {}, "issuers": {}}', more);
    return (await readFile(calls, 'utf8')).length;
  };
  assert.is(await asked('600'), 3);
  assert.is(await asked('0'), 1);
});

test('clients connect only with TLS and only to a server with a trusted certificate', async () => {
  const { identity: _, ...open } = login;
  const plain = withLogin(open, (query) => query('SELECT 1'));
  assert.match(await messageOf(plain), /no pg_hba.conf entry for host .*no encryption/);
  const other = { identity: { authority, name: 'other.example' } };
  assert.match(await refusal('SELECT 1', other), /does not match certificate's altnames/);
  const hosts = [`DNS:${serverName}`];
  const { authority: stranger } = await makeCertificate(temporaryFolder(), 'other', hosts);
  const foreign = { identity: { authority: stranger, name: serverName } };
  assert.match(await refusal('SELECT 1', foreign), /self-signed|unable to/);
});

test('the check of a backend verifies the server, and refuses the TLS modes in between', async () => {
  const variables = { DB_NAME: 'app2', DB_USER: 'app2', DB_PASSWORD: 'new', DB_HOST: serverName };
  const check = async (tls: Readonly<Record<string, string>>, databaseAuthority?: string) => {
    const { lines } = await runCheck({
      projectFolder: root,
      environment: { ...variables, DB_PORT: '5432', ...tls },
      databaseAddress: `127.0.0.1:${login.port}`,
      databaseAuthority,
    });
    return lines.filter((line) => line.startsWith('FAILED ')).join();
  };
  const full = { DB_SSLMODE: 'verify-full', DB_SSLROOTCERT: authorityFile };
  assert.is(await check(full), '');
  const absent = { ...full, DB_SSLROOTCERT: '/nonexistent/ca.crt' };
  assert.match(await check(absent), /^FAILED database login: ENOENT/);
  assert.is(await check(absent, authority), '');
  assert.match(await check({ ...full, DB_HOST: 'other.example' }), /does not match certificate's altnames/);
  assert.match(await check({}), /no encryption/);
  assert.match(await check({ DB_SSLMODE: 'require' }), /Expected DB_SSLMODE to be verify-full or disable/);
});

test("the chart's script does the same with psql", async () => {
  await ask('DROP DATABASE app2');
  const { exitCode, stdout } = await script(wanted(awkward));
  assert.equal([exitCode, stdout], [0, 'ok database roles: app1 app2 \n']);
  assert.is(await refusal('CREATE TABLE t (id integer)', app2(awkward)), '');
});

/** Sets up by the tasks, and by the script. */
const both = [
  () => setUp(awkward),
  async () => assert.is((await script(wanted(awkward))).stdout, 'ok database roles: app1 app2 \n'),
];

test('no setting of a database stops the set-up or acts in it', async () => {
  const schemaOwner = `SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'public'`;
  for (const setting of [
    'role = app2',
    'default_transaction_read_only = on',
    `local_preload_libraries = 'missing'`,
    'idle_session_timeout = 1',
  ])
    for (const run of both) {
      await ask('ALTER SCHEMA public OWNER TO postgres', { database: 'app2' });
      assert.is(await refusal(`ALTER DATABASE app2 SET ${setting}`, app2(awkward)), '');
      await run();
      await ask('ALTER DATABASE app2 RESET ALL');
      assert.equal(await ask(schemaOwner, app2(awkward)), [{ owner: 'app2' }], setting);
    }
});

test('no function of an application runs as the superuser, and it may drop the schema `public`', async () => {
  for (const sql of [
    `CREATE FUNCTION set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN ALTER ROLE app2 SUPERUSER; RETURN pg_catalog.set_config($1, $2, $3); END $$`,
    'ALTER DATABASE app2 SET search_path = public, pg_catalog',
    'DROP SCHEMA public CASCADE',
  ]) {
    assert.is(await refusal(sql, app2(awkward)), '');
    for (const run of both) await run();
    assert.equal(await ask("SELECT rolsuper FROM pg_roles WHERE rolname = 'app2'"), [{ rolsuper: false }]);
  }
});

test('a refused login is reported in one line without a password', async () => {
  const { exitCode, stdout } = await script(wanted('hidden'), { PGPASSWORD: 'wrong-one' });
  assert.is(exitCode, 1);
  assert.match(stdout, /^FAILED database roles: .*password authentication failed for user "postgres".*\n$/);
  assert.not.match(stdout, /wrong-one|hidden/);
});

test('the server’s log contains no password, even when a statement fails', async () => {
  const broken = JSON.stringify({
    applications: { ['x'.repeat(70)]: { password: 'never-logged' } },
    issuers: { pg_reserved: { password: 'never-logged' } },
  });
  assert.match(await messageOf(setUpDatabases((use) => use(login), broken)), /reserved/);
  assert.is((await script(broken)).exitCode, 1);
  await setPassword(login, 'app2', 'never-logged');
  assert.ok(await accepts(app2('never-logged')));
  const error = await setPassword(login, 'nobody', 'never-logged').catch((error: unknown) => error);
  assert.is(Object(error).code, lostRole);
  assert.match(server.log(), /reserved/);
  assert.not.match(server.log(), /never-logged|wörd|newer/);
});

test.run();
