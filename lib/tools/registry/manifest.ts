import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';
import { registryCall } from './call.ts';

const answerWithinMs = 30_000;

export type ImageManifest = {
  /** Manifests by platform, in an index. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  /** Archives of an image, lowest first. */
  readonly layers?: readonly { readonly digest: string }[];
};

export type OpenRepository = ReturnType<typeof openRepository>;

export function openRepository(repository: string, signal: AbortSignal) {
  const call = registryCall(repository);
  const get = async (path: string, limit: AbortSignal): Promise<Response> => {
    const response = await call('GET', path, limit);
    if (!response.ok) throw new Error(refusal(response));
    return response;
  };
  return {
    /** The manifest of a tag or digest. Throws `Error` with a short reason, `TaskError` for another digest. */
    manifest: async (reference: string): Promise<{ digest: string; manifest: ImageManifest }> => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
      const response = await get(`manifests/${reference}`, limit);
      const content = Buffer.from(await response.arrayBuffer());
      const digest = digestOf(content);
      if (reference.includes(':')) checkDigest(response.url, reference, digest);
      return { digest, manifest: JSON.parse(content.toString()) };
    },
    /** All tags, from any number of pages. Throws `Error` with a short reason. */
    tags: async (): Promise<readonly string[]> => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(2 * answerWithinMs)]);
      const tags: string[] = [];
      let page: string | undefined = 'tags/list?n=1000';
      while (page !== undefined) {
        const response: Response = await get(page, limit);
        tags.push(...(((await response.json()) as { tags?: string[] | null }).tags ?? []));
        const link = response.headers.get('link') ?? '';
        page = /<[^>]*\/(tags\/list\?[^>]*)>\s*;[^,]*rel="?next\b/.exec(link)?.[1];
      }
      return tags;
    },
    /** A layer's unverified content. Throws `Error` with a short reason. */
    blob: (digest: string) => get(`blobs/${digest}`, signal),
  };
}

function refusal({ status, url }: Response): string {
  const { host, pathname } = new URL(url);
  if (status === 429) return `${host} limits the rate of requests (HTTP 429)`;
  if (status === 401) return `${host} requires a login`;
  return `${host} answered HTTP ${status} for ${pathname}`;
}

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
  onBytes: (done: number, total: number) => void,
): Promise<void> {
  const hash = createHash('sha256');
  const total = Number(response.headers.get('content-length'));
  let bytes = 0;
  async function* measured() {
    for await (const chunk of response.body ?? []) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(bytes, total);
      yield chunk;
    }
  }
  await pipeline(measured, createWriteStream(file), { signal });
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
