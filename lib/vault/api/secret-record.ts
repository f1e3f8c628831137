import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeWhole } from '../../settings/environment.ts';
import { type JsonObject, parseObject } from './client.ts';

/** True if the secret is the last one written to `path`, which Vault does not return. */
export const isRecorded = async (recordPath: string, path: string, secret: string): Promise<boolean> =>
  (await readRecord(recordPath))[path] === hashOf(secret);

/** Stores the secret's hash in a file of mode 0600. */
export async function recordSecret(recordPath: string, path: string, secret: string): Promise<void> {
  const record = { ...(await readRecord(recordPath)), [path]: hashOf(secret) };
  await writeWhole(recordPath, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Hashes by path; empty if the file is missing or damaged, which only costs another write to Vault. */
const readRecord = async (recordPath: string): Promise<JsonObject> =>
  parseObject(await readFile(recordPath, 'utf8').catch(() => '')) ?? {};

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
