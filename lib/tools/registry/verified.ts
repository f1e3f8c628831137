import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { TaskError } from '@k8s-deployment/runner';

/** `sha256:` and 64 hexadecimal digits. */
export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Writes a response's body to a file. Throws `TaskError` unless it has this digest, `sha256:…`. */
export async function saveVerified(
  response: Response,
  file: string,
  digest: string,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  const measure = new Transform({
    transform: (chunk, _encoding, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const body = Readable.fromWeb(response.body as ReadableStream);
  await pipeline(body, measure, createWriteStream(file), { signal });
  checkDigest(response.url, digest, `sha256:${hash.digest('hex')}`);
}

/** Throws `TaskError` unless the content has the pinned digest. */
export function checkDigest(url: string, expected: string, got: string): void {
  if (got === expected) return;
  // Without the query, which may contain tokens for the registry's storage.
  const { origin, pathname } = new URL(url);
  throw new TaskError({
    what: `${origin}${pathname} has the wrong checksum and was not used`,
    why: `expected ${expected}, got ${got}: it was changed after it was pinned, or in transit`,
    advice: 'try again without a proxy or mirror; if it stays, tell the publisher',
  });
}
