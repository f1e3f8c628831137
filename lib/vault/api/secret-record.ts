import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { objectOf } from './client.ts';

type Fingerprint = { readonly hash: string; readonly refreshAfter?: number };

/**
 * True if Vault needs no new secret for `path`, whose last one it does not return. A password, or a token
 * that never expires, has to be the same. A token that expires differs each time: its ServiceAccount has to
 * be the same, and less than half of the time that the last one had left must have passed.
 */
export async function isRecorded(
  recordPath: string,
  path: string,
  secret: string,
  nowSeconds: number = Date.now() / 1000,
): Promise<boolean> {
  const record = objectOf((await readRecord(recordPath))[path]);
  if (record?.hash !== fingerprint(secret, nowSeconds).hash) return false;
  return typeof record.refreshAfter !== 'number' || nowSeconds < record.refreshAfter;
}

/** Stores the secret as a hash, in a file of mode 0600. Throws `TaskError` for an expired token. */
export async function recordSecret(
  recordPath: string,
  path: string,
  secret: string,
  nowSeconds: number = Date.now() / 1000,
): Promise<void> {
  const record = { ...(await readRecord(recordPath)), [path]: fingerprint(secret, nowSeconds) };
  const { refreshAfter } = record[path] as Fingerprint;
  if (refreshAfter !== undefined && refreshAfter <= nowSeconds) {
    throw new TaskError({
      what: `the token for ${path} has expired`,
      advice: `run ${taskCommand('init-vault')} again with a new token`,
    });
  }
  await mkdir(dirname(recordPath), { recursive: true, mode: 0o700 });
  await writeFile(`${recordPath}.pending`, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${recordPath}.pending`, recordPath);
}

/** The records; none if the file is missing or damaged, which costs only one more write to Vault. */
async function readRecord(recordPath: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return objectOf(JSON.parse(await readFile(recordPath, 'utf8'))) ?? {};
  } catch {
    return {};
  }
}

function fingerprint(token: string, nowSeconds: number): Fingerprint {
  const claims = claimsOf(token);
  const { exp } = claims;
  if (typeof exp !== 'number') return { hash: sha256(token) };
  const account = objectOf(objectOf(claims['kubernetes.io'])?.serviceaccount);
  return {
    hash: sha256(JSON.stringify([claims.iss, claims.sub, account?.uid])),
    refreshAfter: (nowSeconds + exp) / 2,
  };
}

/** The claims of a JWT, not verified; none if it cannot be read. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))) ?? {};
  } catch {
    return {};
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
