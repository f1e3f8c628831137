import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { TaskError } from '../../runner/runner.ts';

/** `sha256:` and 64 hexadecimal digits. */
export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Writes the body of an answer to a file. Throws `TaskError` unless its content has this digest, `sha256:…`. */
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

/** Throws the `TaskError` of content that is not what was pinned. */
export function checkDigest(url: string, expected: string, got: string): void {
  if (got === expected) return;
  // Without the query: storage behind a registry is given its tokens there.
  const { origin, pathname } = new URL(url);
  throw new TaskError({
    what: `${origin}${pathname} has the wrong checksum, and is not used`,
    why: `expected ${expected}, got ${got}: it was changed since it was pinned, or on its way here`,
    advice:
      'try again without a proxy or mirror in between; if it stays, do not use it and tell its publisher',
  });
}
