import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson, TaskError, UsageError } from '@k8s-deployment/runner';
import { acceptsLogin } from '../database/login.ts';
import { databasesOf, decryptPassword, loginRoles, wantedRoles } from '../database/roles.ts';
import { setUpDatabases } from '../database/set-up.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import { isTree } from '../ground/tree.ts';
import type { Context } from '../settings/context.ts';
import { writeWhole } from '../settings/environment.ts';
import { databasePrograms } from './database-programs.ts';
import {
  countRows,
  createOwnedScratch,
  createRoles,
  createScratch,
  type DatabaseServer,
  databaseNames,
  databaseServer,
  objectsIn,
  propertiesOf,
  putInPlace,
  rolesOf,
  scratch,
  superuserObject,
  withScratch,
} from './database-server.ts';
import { checksumOf, existingPlace, newPlace, wholeFolder } from './place.ts';

/** A backup's `backup.json`: what is in its dumps, and what a restored database must have. */
type DatabaseRecord = {
  readonly environment: string;
  readonly time: string;
  /** The server's version. */
  readonly server: string;
  readonly databases: { readonly [database: string]: Dump };
};

type Dump = {
  /** SHA-256 of the dump. */
  readonly digest: string;
  /** Roles that own something, or have rights or settings. */
  readonly roles: readonly string[];
  /** What the dump lacks, see `propertiesOf`; undefined in a backup of an older version. */
  readonly properties?: readonly string[];
  readonly rows: Rows;
};

/** Number of rows by table. */
type Rows = { readonly [table: string]: number };

const recordFile = 'backup.json';

/**
 * Dumps every application's database into a new folder. Each dump is restored into a scratch database, whose rows are
 * counted for the restore. Throws `TaskError` if anything of that fails, and leaves nothing behind.
 */
export async function backupDatabase(context: Context, named: string | undefined): Promise<void> {
  const { environment, settings } = context;
  const place = newPlace(environment, 'database', named);
  const server = await databaseServer(context);
  const programs = await databasePrograms(context, server);
  const existing = await databaseNames(server);
  const declared = databasesOf(settings);
  const names = declared.filter((name) => existing.includes(name));
  if (names.length === 0) {
    throw new TaskError({
      what: 'no application has a database yet',
      why: `the server has only ${existing.join(', ')}`,
      advice: `${taskCommand('install-app postgresql')} creates them`,
    });
  }
  await wholeFolder(place, async (folder) => {
    const databases: { [name: string]: Dump } = {};
    await withScratch(server, context.signal, async () => {
      for (const name of names) {
        context.progress(`dumping ${name}`);
        const file = dumpFile(folder, name);
        await programs.dump(name, file);
        const roles = await rolesOf(server, name);
        const properties = await propertiesOf(server, name);
        context.progress(`restoring ${name} into a scratch database`);
        const owner = await createOwnedScratch(server);
        context.secret(owner.password);
        const special = await superuserObject(server, name);
        if (special !== undefined)
          context.log(`the superuser restores the dump of ${name}, which has ${special}`);
        const by = special === undefined ? owner : server;
        await (await databasePrograms(context, by)).restore(file, scratch);
        const rows = await countRows(by, scratch);
        databases[name] = { digest: await checksumOf(file), roles, properties, rows };
        context.log(`${name}: ${describeRows(rows)}`);
      }
    });
    const time = new Date().toISOString();
    await writeRecord(folder, { environment: environment.name, time, server: server.version, databases });
  });
  for (const name of declared)
    if (!names.includes(name)) context.log(`${name} has no database yet: nothing to back up`);
  context.print(place);
}

/** `2 tables, 17 rows`. */
function describeRows(rows: Rows): string {
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  const sum = Object.values(rows).reduce((total, number) => total + number, 0);
  return `${count(Object.keys(rows).length, 'table')}, ${count(sum, 'row')}`;
}

export const dumpFile = (folder: string, database: string): string => join(folder, `${database}.dump`);

export const writeRecord = (folder: string, record: DatabaseRecord): Promise<void> =>
  writeWhole(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`);

/** The record of a backup. Throws `TaskError` if it is damaged. */
async function readRecord(folder: string): Promise<DatabaseRecord> {
  const record = parseJson(await readFile(join(folder, recordFile), 'utf8')) as DatabaseRecord | undefined;
  if (isTree(record) && isTree(record.databases)) return record;
  throw damaged(folder, `${recordFile} cannot be read`);
}

/** Throws `TaskError` if a dump is missing or differs from the record. Reads all of them, which takes a while. */
export async function checkDumps(folder: string, { databases }: DatabaseRecord): Promise<void> {
  for (const [database, { digest }] of Object.entries(databases)) {
    const found = await ifThere(checksumOf(dumpFile(folder, database)));
    if (found === undefined) throw damaged(folder, `it has no ${database}.dump`);
    if (found !== digest)
      throw damaged(folder, `${database}.dump was changed or is incomplete: its checksum is another one`);
  }
}

const damaged = (folder: string, why: string): TaskError =>
  new TaskError({
    what: `${folder} is no whole backup of the databases`,
    why,
    advice: 'use another backup; nothing was changed',
  });

export type Restore = {
  readonly folder: string;
  /** Databases to restore; default: all of the backup. */
  readonly databases: readonly string[];
  /** Replaces databases that are not empty. */
  readonly replace: boolean;
};

/** A backup to be restored, with the names of the databases. Throws `TaskError` if it or one of them cannot be. */
export async function openBackup(
  { settings }: Pick<Context, 'settings'>,
  { folder: named, databases }: Omit<Restore, 'replace'>,
) {
  const folder = await existingPlace(named, recordFile);
  const record = await readRecord(folder);
  const contained = Object.keys(record.databases);
  const names = databases.length > 0 ? databases : contained;
  const missing = names.find((name) => !contained.includes(name));
  if (missing !== undefined) {
    throw new UsageError({
      what: `the backup has no database \`${missing}\``,
      why: `possible: ${contained.join(', ')}`,
      advice: 'use one of these',
    });
  }
  const declared = databasesOf(settings);
  const unknown = names.filter((name) => !declared.includes(name));
  if (unknown.length === 0) return { folder, record, names };
  const rest = contained.filter((name) => declared.includes(name));
  throw new UsageError({
    what: `the backup has databases of applications that do not exist: ${unknown.join(', ')}`,
    why: '`database.applications` of the settings does not declare them',
    advice: `add them (${taskCommand(`new-app ${unknown[0]}`)})${rest.length > 0 ? `, or restore the rest: ${taskCommand(shellWords(['restore-database', named, ...rest]))}` : ''}`,
  });
}

/**
 * Restores the databases of a backup. Each is restored and checked under another name, then put in place; until then,
 * the existing database is in use. Throws `TaskError` before any change if one is not empty.
 */
export async function restoreDatabase(context: Context, { replace, ...wantedBackup }: Restore) {
  const { folder, record, names } = await openBackup(context, wantedBackup);
  await checkDumps(folder, record);
  const server = await databaseServer(context);
  const programs = await databasePrograms(context, server);
  const existing = await databaseNames(server);
  for (const name of names) if (existing.includes(name) && !replace) await requireEmpty(server, name);
  const wanted = await wantedRoles(context);
  await withScratch(server, context.signal, async () => {
    await setUpDatabases(server.login, wanted);
    for (const name of names) {
      const { roles, properties = [], rows } = record.databases[name] as Dump;
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
