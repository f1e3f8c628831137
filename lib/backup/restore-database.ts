import { TaskError, UsageError } from '@k8s-deployment/runner';
import { acceptsLogin } from '../database/login.ts';
import { databasesOf, decryptPassword, loginRoles, wantedRoles } from '../database/roles.ts';
import { setUpDatabases } from '../database/set-up.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import type { Context } from '../settings/context.ts';
import { describeRows } from './database.ts';
import { databasePrograms } from './database-programs.ts';
import { type DatabaseRecord, dumpFile, type Rows, readRecord } from './database-record.ts';
import {
  countRows,
  createRoles,
  createScratch,
  type DatabaseServer,
  databaseNames,
  databaseServer,
  objectsIn,
  putInPlace,
  scratch,
  withScratch,
} from './database-server.ts';
import { existingPlace } from './place.ts';

export type Restore = {
  readonly folder: string;
  /** Databases to restore; default: all of the backup. */
  readonly databases: readonly string[];
  /** Replaces databases that are not empty. */
  readonly replace: boolean;
};

/**
 * Restores the databases of a backup. Each is restored and checked under another name, then put in place; until then,
 * the existing database is in use. Throws `TaskError` before any change if one is not empty.
 */
export async function restoreDatabase(context: Context, { folder: named, databases, replace }: Restore) {
  const { settings } = context;
  const folder = await existingPlace(named);
  const record = await readRecord(folder);
  const names = chosen(named, record, databases, databasesOf(settings));
  const server = await databaseServer(context);
  const programs = await databasePrograms(context, server);
  const existing = await databaseNames(server);
  for (const name of names) if (existing.includes(name) && !replace) await requireEmpty(server, name);
  const wanted = await wantedRoles(context);
  await withScratch(server, context.signal, async () => {
    await setUpDatabases(server.login, wanted);
    for (const name of names) {
      const { roles, properties = [], rows } = record.databases[name] as DatabaseRecord['databases'][string];
      const created = await createRoles(server, roles);
      if (created.length > 0)
        context.log(`created without a login, since ${name} refers to them: ${created.join(', ')}`);
      context.progress(`restoring ${name}`);
      await createScratch(server, name);
      await programs.restore(dumpFile(folder, name), scratch);
      requireSame(name, rows, await countRows(server, scratch));
      await server.in(async (query) => {
        for (const statement of properties) await query(statement);
      });
      await putInPlace(server, name);
      context.log(`${name}: ${describeRows(rows)}`);
    }
    // Before PostgreSQL 15, the owner of the schema `public` is not in a dump.
    await setUpDatabases(server.login, wanted);
  });
  await requireLogins(context, server, names);
  context.report('changed');
}

function chosen(
  folder: string,
  { databases }: DatabaseRecord,
  only: readonly string[],
  declared: readonly string[],
): readonly string[] {
  const contained = Object.keys(databases);
  const names = only.length > 0 ? only : contained;
  const missing = names.find((name) => !contained.includes(name));
  if (missing !== undefined) {
    throw new UsageError({
      what: `the backup has no database \`${missing}\``,
      why: `possible: ${contained.join(', ')}`,
      advice: 'use one of these',
    });
  }
  const unknown = names.filter((name) => !declared.includes(name));
  if (unknown.length === 0) return names;
  const rest = contained.filter((name) => declared.includes(name));
  throw new UsageError({
    what: `the backup has databases of applications that do not exist: ${unknown.join(', ')}`,
    why: '`database.applications` of the settings does not declare them',
    advice: `add them (${taskCommand(`new-app ${unknown[0]}`)})${rest.length > 0 ? `, or restore the rest: ${taskCommand(shellWords(['restore-database', folder, ...rest]))}` : ''}`,
  });
}

async function requireEmpty(server: DatabaseServer, name: string): Promise<void> {
  const objects = await objectsIn(server, name);
  if (objects.length === 0) return;
  throw new TaskError({
    what: `the database ${name} is not empty`,
    why: `it has ${objects.slice(0, 3).join(', ')}${objects.length > 3 ? ` and ${objects.length - 3} more` : ''}; nothing was changed`,
    advice: '`--replace` replaces it by the backup; make a new backup first',
  });
}

function requireSame(name: string, expected: Rows, found: Rows): void {
  const tables = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
  const different = tables.find((table) => expected[table] !== found[table]);
  if (different === undefined) return;
  throw new TaskError({
    what: `the restored copy of ${name} differs from the backup`,
    why: `${different} has ${found[different] ?? 'no'} rows instead of ${expected[different] ?? 'none'}`,
    advice: 'the database is as it was; use another backup',
  });
}

/** Throws `TaskError` if an application cannot log in to its restored database. Vault's logins come and go. */
async function requireLogins(context: Context, server: DatabaseServer, names: readonly string[]) {
  for (const { name, database, secret } of loginRoles(context.settings)) {
    if (!names.includes(database)) continue;
    const password = await decryptPassword(context, secret);
    if (await server.login((login) => acceptsLogin({ ...login, user: name, password, database }))) continue;
    throw new TaskError({
      what: `${name} cannot log in to its restored database`,
      why: 'the server refuses the password of the encrypted file',
      advice: `run ${taskCommand('rotate-database-password')}`,
    });
  }
}
