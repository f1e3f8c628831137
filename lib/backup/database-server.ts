import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { withPostgresql } from '../cluster/cluster.ts';
import { isRefusedLogin, type Query, withLogin, withSuperuser } from '../database/login.ts';
import { passwordAdvice, superuserLogin, superuserOf } from '../database/roles.ts';
import { type EachLogin, setUpDatabases } from '../database/set-up.ts';
import { taskCommand } from '../ground/launcher.ts';
import { poll } from '../ground/poll.ts';
import { root } from '../ground/project.ts';
import { newPassword } from '../secrets/make.ts';
import type { Context } from '../settings/context.ts';

/** The environment's server, as its superuser, or as the owner of a database. */
export type DatabaseServer = {
  readonly owner?: string;
  readonly password: string;
  readonly version: string;
  /** Calls `use` with a connection to a database; default: the superuser's own. */
  in<Result>(use: (query: Query) => Promise<Result>, database?: string): Promise<Result>;
  readonly login: EachLogin;
};

/** Milliseconds for a statement: a table may be large, and a new database waits for a checkpoint. */
const statementMs = 30 * 60_000;

export async function databaseServer(context: Context): Promise<DatabaseServer> {
  const superuser = await superuserLogin(context);
  const login: EachLogin = (use) =>
    withPostgresql(context, (address) => use({ ...address, ...superuser, timeoutMs: statementMs })).catch(
      (error: Error) => {
        if (error instanceof TaskError) throw error;
        throw new TaskError({
          what: 'the database does not do what a backup needs',
          why: error.message,
          advice: isRefusedLogin(error)
            ? passwordAdvice(context.environment.name, superuserOf(context.settings).secret)
            : `check it with ${taskCommand('status')}, then run again`,
          cause: error,
        });
      },
    );
  const as: DatabaseServer['in'] = (use, database = superuser.database) =>
    login((login) => withSuperuser({ ...login, database }, use));
  const [shown] = await as((query) => query('SHOW server_version'));
  return { password: superuser.password, version: String(shown?.server_version), login, in: as };
}

/** Fixed names, so that what a killed run left is found. */
export const scratch = 'k8s_deployment_scratch';
const replaced = 'k8s_deployment_replaced';

const dropDatabase = (server: DatabaseServer, name: string) =>
  server.in((query) => query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`));

const dropScratch = (server: DatabaseServer) =>
  dropDatabase(server, scratch).then(() => server.in((query) => query(`DROP ROLE IF EXISTS ${scratch}`)));

/**
 * Calls `use` while no other run, of any machine, has a scratch database on the server, and drops it afterwards. Throws
 * `TaskError` if one still has after `waitMs` milliseconds.
 */
export async function withScratch<Result>(
  server: DatabaseServer,
  signal: AbortSignal,
  use: () => Promise<Result>,
  waitMs = 10_000,
): Promise<Result> {
  let used: Promise<Result> | undefined;
  await server.in(async (query) => {
    const lock = `SELECT pg_try_advisory_lock(hashtext('${scratch}')) AS held`;
    const held = async () => (await query(lock)).find((row) => row.held === true);
    if ((await poll(held, waitMs, signal)) === undefined) {
      throw new TaskError({
        what: 'another backup or restore uses this database server',
        why: 'both would restore into the same scratch database; nothing was changed',
        advice: 'wait until it has ended, then run again',
      });
    }
    used ??= use().finally(() => dropScratch(server));
    await Promise.allSettled([used]);
  });
  return used as Promise<Result>;
}

/** Creates an empty scratch database with the rights of an application's. */
export async function createScratch(server: DatabaseServer, owner: string): Promise<void> {
  await dropDatabase(server, scratch);
  await server.in((query) => query(`CREATE DATABASE "${scratch}" OWNER "${owner}"`));
  await server.in((query) => query(`REVOKE CONNECT, TEMPORARY ON DATABASE "${scratch}" FROM PUBLIC`));
}

/**
 * Creates an empty scratch database with an owner of the same name, as an application's. Returns the server as that
 * owner, who sees all rows and whose login is valid for ten minutes: functions in a dump have no other rights.
 */
export async function createOwnedScratch(server: DatabaseServer): Promise<DatabaseServer> {
  await dropScratch(server);
  const as = { user: scratch, password: newPassword(), database: scratch };
  await setUpDatabases(server.login, JSON.stringify({ applications: { [scratch]: as }, issuers: {} }));
  const extend = (right: string) => {
    const sql = `format('ALTER ROLE ${scratch} ${right} VALID UNTIL %L', now() + '10 min')`;
    return server.in((query) => query(`DO $$ BEGIN EXECUTE ${sql}; END $$`));
  };
  await extend('NOBYPASSRLS');
  return {
    ...{ ...server, owner: scratch, password: as.password },
    in: (use) => extend('BYPASSRLS').then(() => server.login((login) => withLogin({ ...login, ...as }, use))),
  };
}

/** The column `name` of a query's rows. */
const namesIn = (server: DatabaseServer, sql: string, database?: string, values: readonly string[] = []) =>
  server.in(async (query) => (await query(sql, values)).map(({ name }) => String(name)), database);

/** An object that only a superuser can restore, such as `event trigger audit`; undefined if there is none. */
export async function superuserObject(server: DatabaseServer, database: string): Promise<string | undefined> {
  const sql = await readFile(join(root, 'lib', 'backup', 'superuser-object.sql'), 'utf8');
  const [name] = await namesIn(server, sql, database);
  return name;
}

/** Names of the databases that exist. */
export const databaseNames = (server: DatabaseServer): Promise<readonly string[]> =>
  namesIn(server, 'SELECT datname AS name FROM pg_database');

const ownSchemas = "nspname !~ '^pg_' AND nspname <> 'information_schema'";

/** Number of rows by table. Planning a query runs functions of indexes that are said to be immutable. */
export const countRows = (server: DatabaseServer, database: string) =>
  server.in(async (query) => {
    const tables = await query(
      `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
       WHERE relkind = 'r' AND ${ownSchemas} ORDER BY 1`,
    );
    const counted: [string, number][] = [];
    for (const { name } of tables) {
      const [row] = await query(`SELECT count(*) AS rows FROM ${name}`);
      counted.push([String(name), Number(row?.rows)]);
    }
    return Object.fromEntries(counted);
  }, database);

/**
 * What somebody created in a database, such as `table public.notes`; a new one has nothing. Objects of initdb have
 * lower numbers, and parts of others depend on those, not on a schema.
 */
export const objectsIn = (server: DatabaseServer, database: string): Promise<readonly string[]> =>
  namesIn(
    server,
    `SELECT type || ' ' || identity AS name FROM pg_depend, pg_identify_object(classid, objid, 0)
      WHERE objid >= 16384 AND refclassid = 'pg_namespace'::regclass AND deptype = 'n'
      UNION SELECT 'large object ' || oid FROM pg_largeobject_metadata ORDER BY 1`,
    database,
  );

/** Settings whose value is a list of quoted names (`variable_is_guc_list_quote` of pg_dump). */
const quotedLists =
  "'local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces'";

/**
 * Statements that give the scratch database what a dump lacks: a database's settings, also for one role, its connection
 * limit, and the rights of others than its owner. `FROM CURRENT` takes a list of quoted names as it is stored.
 */
export const propertiesOf = (server: DatabaseServer, database: string): Promise<readonly string[]> =>
  namesIn(
    server,
    `SELECT format(CASE WHEN split_part(setting, '=', 1) IN (${quotedLists})
            THEN 'SELECT set_config(%1$L, %2$L, true); ALTER %3$s DATABASE ${scratch} SET %1$I FROM CURRENT'
            ELSE 'ALTER %3$s DATABASE ${scratch} SET %1$I TO %2$L' END,
          split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1),
          (SELECT format('ROLE %I IN', rolname) FROM pg_roles WHERE oid = setrole)) AS name
        FROM pg_db_role_setting, unnest(setconfig) AS setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = $1)
      UNION ALL SELECT format('GRANT %s ON DATABASE ${scratch} TO %I', privilege_type, rolname)
        FROM pg_database, aclexplode(datacl) AS granted JOIN pg_roles ON pg_roles.oid = grantee
        WHERE datname = $1 AND grantee <> datdba
      UNION ALL SELECT format('ALTER DATABASE ${scratch} CONNECTION LIMIT %s', datconnlimit)
        FROM pg_database WHERE datname = $1 AND datconnlimit >= 0
      ORDER BY 1`,
    undefined,
    [database],
  );

/** Roles that own something in a database, or have rights or settings of their own in it. */
export const rolesOf = (server: DatabaseServer, database: string): Promise<readonly string[]> =>
  namesIn(
    server,
    `WITH own AS (SELECT oid FROM pg_database WHERE datname = current_database())
      SELECT rolname AS name FROM pg_roles WHERE oid IN (
        SELECT refobjid FROM pg_shdepend, own WHERE refclassid = 'pg_authid'::regclass
          AND (dbid = own.oid OR classid = 'pg_database'::regclass AND objid = own.oid)
        UNION SELECT setrole FROM pg_db_role_setting, own WHERE setdatabase = own.oid) ORDER BY 1`,
    database,
  );

/** Creates missing roles without a login. Returns their names. */
export const createRoles = (server: DatabaseServer, roles: readonly string[]): Promise<readonly string[]> =>
  server.in(async (query) => {
    const missing = await query(
      `SELECT role, format('CREATE ROLE %I NOLOGIN', role) AS sql FROM jsonb_array_elements_text($1) AS role
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)`,
      [JSON.stringify(roles)],
    );
    for (const { sql } of missing) await query(String(sql));
    return missing.map(({ role }) => String(role));
  });

/** SQLSTATE `object_in_use`: a session began after the others were ended. */
const isInUse = (error: unknown): boolean => (error as { readonly code?: unknown }).code === '55006';

/**
 * Puts the scratch database in the place of another one, whose sessions are ended. All of that is one transaction; only
 * then is the other one dropped. Repeated after a lost connection, it goes on where it was.
 */
export async function putInPlace(server: DatabaseServer, database: string): Promise<void> {
  const numberOf = async (query: Query, name: string) =>
    (await query('SELECT oid FROM pg_database WHERE datname = $1', [name]))[0]?.oid;
  const copy = await server.in((query) => numberOf(query, scratch));
  await server.in(async (query) => {
    const old = await numberOf(query, database);
    const dropOld = () => query(`DROP DATABASE IF EXISTS "${replaced}" WITH (FORCE)`);
    const swap = [
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
      ...(old === undefined ? [] : [`ALTER DATABASE "${database}" RENAME TO "${replaced}"`]),
      `ALTER DATABASE "${scratch}" RENAME TO "${database}"`,
    ];
    for (let attempt = 1; copy === undefined || old !== copy; attempt += 1) {
      await dropOld();
      try {
        // One message is one transaction, in which sessions can only begin before the first renaming.
        await query(swap.join('; '));
        break;
      } catch (error) {
        if (attempt === 3 || !isInUse(error)) throw error;
      }
    }
    await dropOld();
  });
}
