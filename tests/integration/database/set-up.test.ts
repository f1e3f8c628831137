import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { acceptsLogin, isPostgresqlReady, type Login, withLogin } from '../../../lib/database/login.ts';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { root } from '../../../lib/ground/project.ts';
import { setPassword } from '../../../lib/rotation/server.ts';
import { runCheck } from '../../../lib/verification/run-check.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { type RealPostgresql, realPostgresql } from '../verification/real-postgresql.ts';

/*
 * The roles and databases of the chart's SQL on a real server: by the tasks, as on the embedded cluster, and by the script that
 * the chart's Job runs with psql.
 */

const password = 'superuser';
const awkward = `p'ss "wörd" \\ $$ %I : {}`;
const wanted = (app2: string, vault = 'of vault', app1 = '') =>
  JSON.stringify({
    applications: { app1: { password: app1 }, app2: { password: app2 } },
    issuers: { vault: { password: vault } },
  });

type State = { folder: string; authorityFile: string; postgresql: RealPostgresql; superuser: Login };
const test = suite<State>('roles and databases');

const as = (superuser: Login, user: string, password: string, database: string): Login => ({
  ...superuser,
  user,
  password,
  database,
});

/** The server's error for a statement, or undefined. */
const refusal = (login: Login, sql: string): Promise<string | undefined> =>
  withLogin(login, (query) => query(sql)).then(
    () => undefined,
    (error: Error) => error.message,
  );

const serverName = 'postgresql.database.svc.example';

test('sets up a new server, with any password', async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'database-'));
  const { certificate, key, authority } = await makeCertificate(context.folder, 'server', [
    `DNS:${serverName}`,
  ]);
  context.authorityFile = certificate;
  context.postgresql = await realPostgresql('postgres', password, {
    ...{ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key },
    hba_file: join(root, 'charts', 'postgresql', 'files', 'server', 'pg_hba.conf'),
  });
  const { port } = context.postgresql;
  const identity = { authority, name: serverName };
  context.superuser = { host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres', identity };
  assert.ok(await isPostgresqlReady('127.0.0.1', port));
  assert.equal(await setUpDatabases(context.superuser, wanted(awkward)), ['app1', 'app2']);
  const rows = await withLogin(context.superuser, (query) =>
    query(`SELECT rolname, rolsuper, rolcreaterole, rolcanlogin, rolcreatedb FROM pg_roles
      WHERE rolname IN ('app1', 'app2', 'vault') ORDER BY rolname`),
  );
  assert.equal(
    rows.map((row) => Object.values(row)),
    [
      ['app1', false, false, false, false],
      ['app2', false, false, true, false],
      ['vault', false, true, true, false],
    ],
  );
});

test('an application owns its database and cannot connect to others', async ({ superuser }) => {
  const own = as(superuser, 'app2', awkward, 'app2');
  assert.is(await refusal(own, 'CREATE TABLE things (id integer)'), undefined);
  for (const database of ['app1', 'postgres', 'template1'])
    assert.match((await refusal({ ...own, database }, 'SELECT 1')) ?? '', /permission denied for database/);
  assert.match((await refusal(own, 'CREATE ROLE another')) ?? '', /permission denied/);
  assert.match((await refusal(own, `ALTER ROLE vault PASSWORD 'x'`)) ?? '', /permission denied/);
});

test('vault creates logins with the rights of app1 only, and revokes them', async ({ superuser }) => {
  const vault = as(superuser, 'vault', 'of vault', 'postgres');
  const make = `CREATE ROLE "v-app1-1" LOGIN PASSWORD 'once' IN ROLE app1`;
  assert.is(await refusal(vault, make), undefined);
  assert.is(await refusal(vault, 'ALTER ROLE "v-app1-1" SET role = app1'), undefined);
  const made = as(superuser, 'v-app1-1', 'once', 'app1');
  assert.is(await refusal(made, 'CREATE TABLE things (id integer)'), undefined);
  assert.match((await refusal({ ...made, database: 'app2' }, 'SELECT 1')) ?? '', /permission denied/);
  assert.match((await refusal(vault, 'CREATE ROLE other SUPERUSER')) ?? '', /permission denied|must be/);
  // A session that still runs when its lease ends.
  const session = refusal(made, 'SELECT pg_sleep(30)');
  const end = `SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity WHERE usename = 'v-app1-1'`;
  let ended: readonly object[] = [];
  while (ended.length === 0) ended = await withLogin(vault, (query) => query(end));
  assert.equal(ended, [{ done: true }]);
  assert.match((await session) ?? '', /terminating connection/);
  assert.is(await refusal(vault, 'DROP ROLE "v-app1-1"'), undefined);
  const [table] = await withLogin({ ...superuser, database: 'app1' }, (query) =>
    query("SELECT tableowner FROM pg_tables WHERE tablename = 'things'"),
  );
  assert.equal(table, { tableowner: 'app1' });
});

test('a second run changes only passwords, and reverts manual changes', async ({ superuser }) => {
  const hand = ['ALTER ROLE app2 SUPERUSER', 'ALTER DATABASE app2 OWNER TO postgres'];
  for (const sql of hand) assert.is(await refusal(superuser, sql), undefined);
  assert.is(
    await refusal({ ...superuser, database: 'app2' }, 'ALTER SCHEMA public OWNER TO postgres'),
    undefined,
  );
  await setUpDatabases(superuser, wanted('new', 'newer'));
  assert.not.ok(await acceptsLogin(as(superuser, 'app2', awkward, 'app2')));
  assert.ok(await acceptsLogin(as(superuser, 'app2', 'new', 'app2')));
  assert.ok(await acceptsLogin(as(superuser, 'vault', 'newer', 'postgres')));
  const [found] = await withLogin({ ...superuser, database: 'app2' }, (query) =>
    query(`SELECT rolsuper, pg_get_userbyid(datdba) AS database, pg_get_userbyid(nspowner) AS schema
      FROM pg_roles, pg_database, pg_namespace WHERE rolname = 'app2' AND datname = 'app2' AND nspname = 'public'`),
  );
  assert.equal(found, { rolsuper: false, database: 'app2', schema: 'app2' });
});

test('an application can switch from Vault’s logins to its own password and back', async ({ superuser }) => {
  const vault = as(superuser, 'vault', 'newer', 'postgres');
  const make = `CREATE ROLE "v-app1-2" LOGIN PASSWORD 'once' IN ROLE app1`;
  await setUpDatabases(superuser, wanted('new', 'newer', 'own'));
  assert.ok(await acceptsLogin(as(superuser, 'app1', 'own', 'app1')));
  const isMember = () =>
    withLogin(superuser, (query) => query("SELECT pg_has_role('vault', 'app1', 'MEMBER') AS member"));
  assert.equal(await isMember(), [{ member: false }]);
  await setUpDatabases(superuser, wanted('new', 'newer'));
  assert.not.ok(await acceptsLogin(as(superuser, 'app1', 'own', 'app1')));
  assert.is(await refusal(vault, make), undefined);
  assert.is(await refusal(vault, 'DROP ROLE "v-app1-2"'), undefined);
});

type Ended = { readonly exitCode: number | null; readonly stdout: string };

/** The chart's script, as in its Job. */
async function script(
  { superuser: { port }, authorityFile }: State,
  password: string,
  roles: string,
): Promise<Ended> {
  const child = spawn('sh', [join(root, 'charts', 'postgresql', 'files', 'set-up', 'set-up.sh')], {
    env: {
      PATH: process.env.PATH,
      ...{ PGHOST: serverName, PGHOSTADDR: '127.0.0.1', PGPORT: String(port) },
      ...{
        PGSSLMODE: 'verify-full',
        PGSSLROOTCERT: authorityFile,
        PGUSER: 'postgres',
        PGDATABASE: 'postgres',
      },
      PGPASSWORD: password,
      DATABASE_ROLES: roles,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, stdout };
}

test('clients connect only with TLS and only to a server with a trusted certificate', async ({
  superuser,
  folder,
}) => {
  const { identity, ...login } = superuser;
  assert.match((await refusal(login, 'SELECT 1')) ?? '', /no pg_hba.conf entry for host .*no encryption/);
  const authority = identity?.authority ?? '';
  const other = { ...login, identity: { authority, name: 'other.example' } };
  assert.match((await refusal(other, 'SELECT 1')) ?? '', /does not match certificate's altnames/);
  const { authority: stranger } = await makeCertificate(folder, 'other', [`DNS:${serverName}`]);
  const foreign = { ...login, identity: { authority: stranger, name: serverName } };
  assert.match((await refusal(foreign, 'SELECT 1')) ?? '', /self-signed|unable to/);
});

test('the check of a backend verifies the server, and refuses the TLS modes in between', async ({
  superuser,
  authorityFile,
}) => {
  const login = {
    DB_NAME: 'app2',
    DB_USER: 'app2',
    DB_PASSWORD: 'new',
    DB_HOST: serverName,
    DB_PORT: '5432',
  };
  const check = async (tls: Readonly<Record<string, string>>, databaseAuthority?: string) => {
    const { failures } = await runCheck({
      projectFolder: root,
      environment: { ...login, ...tls },
      databaseAddress: `127.0.0.1:${superuser.port}`,
      databaseAuthority,
    });
    return failures.map(({ check, reason }) => `${check}: ${reason}`).join();
  };
  const full = { DB_SSLMODE: 'verify-full', DB_SSLROOTCERT: authorityFile };
  assert.is(await check(full), '');
  const absent = { ...full, DB_SSLROOTCERT: '/nonexistent/ca.crt' };
  assert.match(await check(absent), /^database login: ENOENT/);
  assert.is(await check(absent, superuser.identity?.authority), '');
  assert.match(await check({ ...full, DB_HOST: 'other.example' }), /does not match certificate's altnames/);
  assert.match(await check({}), /no encryption/);
  assert.match(await check({ DB_SSLMODE: 'require' }), /Expected DB_SSLMODE to be verify-full or disable/);
});

test("the chart's script does the same with psql", async (state) => {
  const { superuser } = state;
  await withLogin(superuser, (query) => query('DROP DATABASE app2'));
  assert.equal(await script(state, password, wanted(awkward)), {
    exitCode: 0,
    stdout: 'ok database roles: app1 app2 \n',
  });
  assert.ok(await acceptsLogin(as(superuser, 'app2', awkward, 'app2')));
  assert.is(await refusal(as(superuser, 'app2', awkward, 'app2'), 'CREATE TABLE t (id integer)'), undefined);
});

test('a refused login is reported in one line without a password', async (state) => {
  const { exitCode, stdout } = await script(state, 'wrong-one', wanted('hidden'));
  assert.is(exitCode, 1);
  assert.match(stdout, /^FAILED database roles: .*password authentication failed for user "postgres".*\n$/);
  assert.not.match(stdout, /wrong-one|hidden/);
});

test('the server’s log contains no password, even when a statement fails', async (state) => {
  const { postgresql, superuser } = state;
  const broken = JSON.stringify({
    applications: { ['x'.repeat(70)]: { password: 'never-logged' } },
    issuers: { pg_reserved: { password: 'never-logged' } },
  });
  await setUpDatabases(superuser, broken).then(
    () => assert.unreachable('a reserved name is refused'),
    (error: Error) => assert.match(error.message, /reserved/),
  );
  assert.is((await script(state, password, broken)).exitCode, 1);
  assert.match(postgresql.log(), /reserved/);
  assert.not.match(postgresql.log(), /never-logged|wörd|newer/);
});

test('a changed password is not logged either', async ({ postgresql, superuser }) => {
  await setPassword(superuser, 'app2', 'never-logged');
  assert.ok(await acceptsLogin(as(superuser, 'app2', 'never-logged', 'app2')));
  await setPassword(superuser, 'nobody', 'never-logged').then(
    () => assert.unreachable('there is no such role'),
    (error: Error) => assert.match(error.message, /"nobody" does not exist/),
  );
  assert.not.match(postgresql.log(), /never-logged/);
});

test.after(async ({ postgresql, folder }) => {
  await postgresql?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

test.run();
