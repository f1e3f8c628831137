import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeWhole } from '../../settings/environment.ts';
import { type JsonObject, objectOf } from './client.ts';

/** True if the secret is the last one that was written to `path` of Vault, which does not return it. */
export const isRecorded = async (recordPath: string, path: string, secret: string): Promise<boolean> =>
  (await readRecord(recordPath))[path] === hashOf(secret);

/** Stores the secret as a hash, in a file of mode 0600. */
export async function recordSecret(recordPath: string, path: string, secret: string): Promise<void> {
  const record = { ...(await readRecord(recordPath)), [path]: hashOf(secret) };
  await writeWhole(recordPath, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** The hashes by path; none if the file is missing or damaged, which costs only one more write to Vault. */
async function readRecord(recordPath: string): Promise<JsonObject> {
  try {
    return objectOf(JSON.parse(await readFile(recordPath, 'utf8'))) ?? {};
  } catch {
    return {};
  }
}

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
