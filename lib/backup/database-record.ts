import { join } from 'node:path';
import { parseJson, TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { isTree } from '../ground/tree.ts';
import { writeWhole } from '../settings/environment.ts';
import { digestOf } from './place.ts';

/** A backup's `backup.json`: what is in its dumps, and what a restored database must have. */
export type DatabaseRecord = {
  readonly environment: string;
  readonly time: string;
  /** The server's version. */
  readonly server: string;
  readonly databases: {
    readonly [database: string]: {
      /** SHA-256 of the dump. */
      readonly digest: string;
      /** Roles that own something, or have rights or settings. */
      readonly roles: readonly string[];
      /** What the dump lacks, see `propertiesOf`; undefined in a backup of an older version. */
      readonly properties?: readonly string[];
      readonly rows: Rows;
    };
  };
};

/** Number of rows by table. */
export type Rows = { readonly [table: string]: number };

const file = 'backup.json';

export const dumpFile = (folder: string, database: string): string => join(folder, `${database}.dump`);

export const writeRecord = (folder: string, record: DatabaseRecord): Promise<void> =>
  writeWhole(join(folder, file), `${JSON.stringify(record, null, 2)}\n`);

/** The record of a whole backup. Throws `TaskError` if it is missing, damaged, or a dump differs from it. */
export async function readRecord(folder: string): Promise<DatabaseRecord> {
  const damaged = (why: string) =>
    new TaskError({
      what: `${folder} is no whole backup of the databases`,
      why,
      advice: 'use another backup; nothing was changed',
    });
  const text = await textIfThere(join(folder, file));
  if (text === undefined) throw damaged(`it has no ${file}`);
  const record = parseJson(text) as DatabaseRecord | undefined;
  if (!isTree(record) || !isTree(record.databases)) throw damaged(`${file} cannot be read`);
  for (const [database, { digest }] of Object.entries(record.databases)) {
    const found = await ifThere(digestOf(dumpFile(folder, database)));
    if (found === undefined) throw damaged(`it has no ${database}.dump`);
    if (found !== digest)
      throw damaged(`${database}.dump was changed or is incomplete: its checksum is another one`);
  }
  return record;
}
