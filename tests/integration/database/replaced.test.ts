import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  dumpWords,
  localVariables,
  ownerOptions,
  restoreWords,
} from '../../../lib/backup/database-programs.ts';
import {
  countRows,
  createOwnedScratch,
  createRoles,
  createScratch,
  type DatabaseServer,
  objectsIn,
  propertiesOf,
  putInPlace,
  rolesOf,
  scratch,
  superuserObject,
  withScratch,
} from '../../../lib/backup/database-server.ts';
import { type Query, withSuperuser } from '../../../lib/database/login.ts';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { runFile } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { failureOf } from '../../rig/task-context.ts';
import { databaseServer } from './server.ts';

/* How a restore replaces a database, on a real server; tests/integration/environment/restore.ts has whole ones. */

const test = suite('replaced databases');
const host = 'postgresql.database.svc.example';
const server = await databaseServer(host);
const { ask, authorityFile, login } = server;
test.after(() => server.remove());

const applications = { app1: { password: 'one' }, app2: { password: 'two' } };
await setUpDatabases((use) => use(login), JSON.stringify({ applications, issuers: {} }));
const app1 = { user: 'app1', password: 'one' };
const app2 = { user: 'app2', password: 'two', database: 'app2' };

/** The server as a restore sees it; `around` each of its statements. */
const restored = (
  around = (ask: Query, sql: string, values?: readonly string[]) => ask(sql, values),
): DatabaseServer => ({
  password: login.password,
  version: '',
  login: (use) => use(login),
  in: (use, database = login.database) =>
    withSuperuser({ ...login, database }, (query) => use((sql, values) => around(query, sql, values))),
});

const wordIn = async () => (await ask('SELECT word FROM words', app2))[0]?.word;

/** Runs a client of PostgreSQL. Returns its output. */
async function client([program = '', ...words]: readonly string[], password = login.password) {
  const variables = localVariables(host, login.port, authorityFile);
  const run = await runFile(program, words, '/', { ...variables, PGPASSWORD: password });
  assert.is(run.exitCode, 0, run.stderr);
  return run.stdout;
}

/** A scratch database as after a restore. */
async function restoredCopy(): Promise<void> {
  await createScratch(restored(), 'app2');
  const filled = "CREATE TABLE words AS SELECT 'new' AS word; GRANT SELECT ON words TO app2";
  await ask(filled, { database: scratch });
}

test('a new database is empty; one with anything of its own is not', async () => {
  const objects = () => objectsIn(restored(), 'app2');
  assert.equal(await objects(), []);
  for (const [create, drop, name] of [
    ['CREATE TABLE t (id serial)', 'DROP TABLE t', 'sequence public.t_id_seq,table public.t'],
    ['CREATE VIEW v AS SELECT 1', 'DROP VIEW v', 'view public.v'],
    ["SELECT lo_from_bytea(77777, 'x')", 'SELECT lo_unlink(77777)', 'large object 77777'],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'DROP FUNCTION f', 'function public.f()'],
    ["CREATE SCHEMA s; CREATE TYPE s.e AS ENUM ('a')", 'DROP SCHEMA s CASCADE', 'type s.e'],
  ] as const) {
    await ask(create, app2);
    assert.is((await objects()).join(), name);
    await ask(drop, app2);
  }
  assert.equal(await objects(), []);
});

test('from the beginning, nobody but its owner may connect to a copy', async () => {
  await restoredCopy();
  const denied = await ask('SELECT 1', { ...app1, database: scratch }).catch(String);
  assert.match(String(denied), /permission denied for database/);
  assert.is((await ask('SELECT 1', { ...app2, database: scratch })).length, 1);
});

test('a run that ends at any statement leaves a database that its owner can use', async () => {
  await ask("CREATE TABLE words AS SELECT 'old' AS word", app2);
  let words = 0;
  for (let last = 0; ; last += 1) {
    await restoredCopy();
    let statements = 0;
    const cut = restored((ask, sql, values) => {
      statements += 1;
      if (statements > last) throw new Error('killed');
      return ask(sql, values);
    });
    const ended = await putInPlace(cut, 'app2').then(() => 'whole', String);
    const word = await wordIn();
    assert.ok(word === 'old' || word === 'new', `after ${last}: ${word}`);
    words += word === 'old' ? 1 : 0;
    if (ended === 'whole') break;
    assert.is(ended, 'Error: killed');
  }
  assert.ok(words > 1);
  assert.is(await wordIn(), 'new');
  const ofAll = "SELECT FROM pg_database, aclexplode(datacl) WHERE datname = 'app2' AND grantee = 0";
  assert.equal(await ask(ofAll), []);
});

test('sessions are ended, and a new one is no obstacle', async () => {
  await restoredCopy();
  const session = await server.session(app2);
  let refused = 0;
  const busy = restored((ask, sql, values) => {
    if (sql.includes(`"${scratch}" RENAME`) && refused++ === 0)
      throw Object.assign(new Error('is being accessed by other users'), { code: '55006' });
    return ask(sql, values);
  });
  await putInPlace(busy, 'app2');
  assert.match(await session.end, /terminating connection|Connection terminated/);
  assert.is(refused, 2);
});

test('a copy that somebody else dropped is never taken for one that is in place', async () => {
  await restoredCopy();
  await ask(`DROP DATABASE ${scratch}`);
  assert.match((await failureOf(putInPlace(restored(), 'app2'))).message, /does not exist/);
  assert.is(await wordIn(), 'new');
});

test('what the owner sets for its database does not stop a dump', async () => {
  await ask('CREATE TABLE audit (); REVOKE ALL ON audit FROM app2', { database: 'app2' });
  for (const sql of ['SET role = app2', "SET local_preload_libraries = 'missing'"])
    await ask(`ALTER DATABASE app2 ${sql}`, app2);
  assert.match(await client(dumpWords('postgres', 'app2')), 'audit');
  await ask('ALTER DATABASE app2 RESET ALL');
  await ask('DROP TABLE audit', { database: 'app2' });
});

test('a dump is proven without rights that its functions could use', async () => {
  const database = 'special';
  await ask('CREATE ROLE other; GRANT app2 TO other; GRANT other TO app1');
  await ask('CREATE DATABASE special OWNER app2');
  for (const sql of [
    `CREATE FUNCTION rise() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
       ALTER ROLE app2 SUPERUSER; RETURN true; EXCEPTION WHEN insufficient_privilege THEN RETURN true; END $$`,
    "CREATE FUNCTION fixed() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.rise(); END'",
    'CREATE TABLE risen (id serial PRIMARY KEY, up boolean GENERATED ALWAYS AS (fixed()) STORED, CHECK (rise()))',
    'CREATE INDEX ON risen ((fixed() AND id > 0))',
    'INSERT INTO risen DEFAULT VALUES',
    'CREATE MATERIALIZED VIEW seen AS SELECT rise() FROM risen',
    'CREATE TABLE child AS SELECT id FROM risen',
    'ALTER TABLE child ADD FOREIGN KEY (id) REFERENCES risen',
    'ALTER TABLE child ENABLE ROW LEVEL SECURITY; ALTER TABLE child FORCE ROW LEVEL SECURITY',
    'CREATE POLICY none ON child USING (false)',
    'GRANT SELECT ON risen TO app1 WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app1',
    'CREATE PUBLICATION changes FOR TABLE risen',
    'CREATE TYPE span AS RANGE (subtype = int); CREATE TYPE pair AS (a int); CREATE DOMAIN part AS int CHECK (rise())',
    "SELECT lo_from_bytea(77777, 'x'); COMMENT ON SCHEMA public IS 'own'; CREATE SCHEMA own",
    'CREATE EXTENSION hstore; CREATE TABLE pairs (pair hstore)',
    'CREATE FUNCTION text_of(pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$',
    'CREATE CAST (pair AS text) WITH FUNCTION text_of(pair)',
  ])
    await ask(sql, { ...app2, database });
  const others = 'SET ROLE other; CREATE TABLE others (); SET ROLE app1; GRANT SELECT ON risen TO other';
  await ask(others, { database });
  // As after a restore, which makes the superuser the owner of an extension.
  await ask('CREATE EXTENSION pg_trgm', { database });
  assert.is(await superuserObject(restored(), database), undefined);

  const file = join(temporaryFolder(), 'special.dump');
  await client([...dumpWords('postgres', database), `--file=${file}`]);
  const superuser = restored();
  await withScratch(superuser, new AbortController().signal, async () => {
    const owner = await createOwnedScratch(superuser);
    await client([...restoreWords(scratch, scratch), ...ownerOptions(false), file], owner.password);
    const rows = { 'public.child': 1, 'public.others': 0, 'public.pairs': 0, 'public.risen': 1 };
    assert.equal(await countRows(owner, scratch), rows);
  });
  assert.equal(await ask("SELECT rolname FROM pg_roles WHERE rolsuper AND rolname = 'app2'"), []);
  assert.equal(await ask(`SELECT FROM pg_roles WHERE rolname = '${scratch}'`), []);
  assert.not.match(server.log(), 'PASSWORD');
});

test('a database with objects that only a superuser can restore is known', async () => {
  const database = 'special';
  for (const [create, drop, name] of [
    ['CREATE EXTENSION dblink', 'DROP EXTENSION dblink', 'extension dblink'],
    [
      'ALTER ROLE app2 SUPERUSER; SET ROLE app2; CREATE EXTENSION dblink; RESET ROLE; ALTER ROLE app2 NOSUPERUSER',
      'DROP EXTENSION dblink',
      'extension dblink',
    ],
    ['CREATE CAST (int AS date) WITHOUT FUNCTION', 'DROP CAST (int AS date)', 'cast from'],
    ['CREATE CAST (varchar AS int) WITH INOUT', 'DROP CAST (varchar AS int)', 'cast from'],
    ['CREATE PUBLICATION p FOR ALL TABLES', 'DROP PUBLICATION p', 'publication p'],
    [
      "CREATE FUNCTION f() RETURNS int LEAKPROOF LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f OWNER TO app2",
      'DROP FUNCTION f',
      'function public.f()',
    ],
    [
      "CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION g OWNER TO app2; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION g()",
      'DROP EVENT TRIGGER e',
      'event trigger e',
    ],
  ] as const) {
    await ask(create, { database });
    assert.match(String(await superuserObject(restored(), database)), name);
    await ask(drop, { database });
    assert.is(await superuserObject(restored(), database), undefined);
  }
});

test('roles that a dump refers to are created without a login, and no other is changed', async () => {
  const role = `o'dd "name"`;
  assert.equal(await createRoles(restored(), ['app1', role]), [role]);
  assert.equal(await createRoles(restored(), ['app1', role]), []);
  assert.equal(await ask("SELECT rolname FROM pg_roles WHERE NOT rolcanlogin AND rolname ~ '^(app1|o.dd)'"), [
    { rolname: role },
  ]);
});

test('settings and rights of a database come back, which a dump lacks', async () => {
  await ask('CREATE ROLE reader');
  for (const sql of [
    'ALTER DATABASE app2 SET search_path = extra, "Odd Name", public',
    `ALTER DATABASE app2 SET own.word = 'it''s'`,
    'ALTER ROLE app2 IN DATABASE app2 SET default_transaction_read_only = on',
    // What the role `reader` may not set for others.
    'ALTER ROLE app2 IN DATABASE app2 SET role = reader',
    'ALTER ROLE app2 IN DATABASE app2 SET DateStyle = SQL, DMY',
    'GRANT CONNECT ON DATABASE app2 TO reader',
    'ALTER DATABASE app2 CONNECTION LIMIT 7',
  ])
    await ask(sql);
  const found = () => propertiesOf(restored(), 'app2');
  const before = await found();
  assert.is(before.length, 7);
  assert.ok((await rolesOf(restored(), 'app2')).includes('reader'));
  await restoredCopy();
  for (const sql of before) await ask(sql);
  await putInPlace(restored(), 'app2');
  assert.equal(await found(), before);
  const shown = "SELECT current_setting('search_path') AS path, current_setting('own.word') AS word";
  assert.equal(await ask(shown, app2), [{ path: 'extra, "Odd Name", public', word: "it's" }]);
});

test('one run at a time has copies on a server, and removes them', async () => {
  const { signal } = new AbortController();
  const exists = `SELECT FROM pg_database WHERE datname = '${scratch}'`;
  await withScratch(restored(), signal, async () => {
    await restoredCopy();
    const second = await failureOf(withScratch(restored(), signal, async () => undefined, 50));
    assert.match(second.what, /another backup or restore/);
    assert.is((await ask(exists)).length, 1);
  });
  assert.is((await ask(exists)).length, 0);
  assert.is(await withScratch(restored(), signal, async () => 'next'), 'next');
});

test.run();
