import { TaskError } from '@k8s-deployment/runner';
import { databasesOf } from '../database/roles.ts';
import { taskCommand } from '../ground/launcher.ts';
import type { Context } from '../settings/context.ts';
import { databasePrograms } from './database-programs.ts';
import { type DatabaseRecord, dumpFile, type Rows, writeRecord } from './database-record.ts';
import {
  countRows,
  createOwnedScratch,
  databaseNames,
  databaseServer,
  propertiesOf,
  rolesOf,
  scratch,
  superuserObject,
  withScratch,
} from './database-server.ts';
import { digestOf, newPlace, wholeFolder } from './place.ts';

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
    const databases: { [name: string]: DatabaseRecord['databases'][string] } = {};
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
        databases[name] = { digest: await digestOf(file), roles, properties, rows };
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
export function describeRows(rows: Rows): string {
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  const sum = Object.values(rows).reduce((total, number) => total + number, 0);
  return `${count(Object.keys(rows).length, 'table')}, ${count(sum, 'row')}`;
}
