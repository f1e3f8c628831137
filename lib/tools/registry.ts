import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';

/** A repository in a container runtime's form: Docker Hub's has no host, and `library/…` if it has no slash. */
type Repository = { readonly host: string; readonly path: string };

/** A repository with a host: its first part has a dot or port, or is `localhost`. */
const hostForm = /^(?:[^/]*[.:][^/]*|localhost)\//;

export const namesHost = (repository: string): boolean => hostForm.test(repository);

export function parseRepository(repository: string): Repository {
  const host = hostForm.exec(repository)?.[0].slice(0, -1) ?? 'docker.io';
  const path = namesHost(repository) ? repository.slice(host.length + 1) : repository;
  return { host, path: host === 'docker.io' && !path.includes('/') ? `library/${path}` : path };
}

/** An image's name with host, to compare Docker's (`a/b:1`) and containerd's (`docker.io/a/b:1`). */
export function fullName(reference: string): string {
  const { host, path } = parseRepository(reference);
  return `${host}/${path}`;
}

/** Media types of image indexes and manifests (OCI and Docker). */
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Host and port of a registry's server; Docker Hub's name differs from the registry's. */
export function serverOf(repository: string): string {
  const { host } = parseRepository(repository);
  return host === 'docker.io' ? 'registry-1.docker.io' : host;
}

/** The token's URL in a challenge, or empty (https://distribution.github.io/distribution/spec/auth/token/). */
function tokenAddress(challenge: string): string {
  if (!/^bearer /i.test(challenge)) return '';
  const { realm, ...query } = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  ) as { [name: string]: string };
  if (realm === undefined || !URL.canParse(realm)) return '';
  const url = new URL(realm);
  for (const name of ['service', 'scope']) if (query[name]) url.searchParams.set(name, query[name]);
  return url.href;
}

/** Why a call got no answer: fetch puts it into the error's cause, which may only have a code. */
export function reasonOf(error: Error): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.message || cause?.code || error.message;
}

/** A registry's HTTP status for an image, asked without a login, or why it gave none. */
export type Answer = number | string;

/** Milliseconds for all requests of a question, three at most. */
const askWithinMs = 20_000;

/** Asks the registry whether it has a tag or digest of the repository. */
export async function askRegistry(repository: string, version: string, signal: AbortSignal): Promise<Answer> {
  try {
    return await openRepository(repository, signal).status(version);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return reasonOf(error as Error);
  }
}

/** Milliseconds for a registry to answer. */
const answerWithinMs = 30_000;

type ImageManifest = {
  /** Manifests by platform, in an index. */
  manifests?: { digest: string; platform?: { os: string; architecture: string } }[];
  /** Archives of an image, lowest first. */
  layers?: { digest: string }[];
};

/**
 * A repository's content by HTTP (https://github.com/opencontainers/distribution-spec), without a login but with an
 * anonymous token if the registry issues one. Plain HTTP only for loopback, as in Docker.
 */
export function openRepository(repository: string, signal: AbortSignal) {
  const host = serverOf(repository);
  const scheme = /^(?:localhost|127\.[\d.]+)(?::|$)/.test(host) ? 'http' : 'https';
  const base = `${scheme}://${host}/v2/${parseRepository(repository).path}`;
  let token: string | undefined;
  const within = (ms: number): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const call = async (method: 'GET' | 'HEAD', path: string, limit: AbortSignal): Promise<Response> => {
    // fetch drops the token on a redirect to another host.
    const ask = () => {
      const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      const headers = { Accept: manifestTypes, ...authorization };
      return fetch(`${base}/${path}`, { method, headers, signal: limit });
    };
    const first = await ask();
    // Also if a token has ended, as Docker Hub's does after five minutes.
    const tokenUrl = first.status === 401 ? tokenAddress(first.headers.get('www-authenticate') ?? '') : '';
    if (tokenUrl === '') return first;
    await first.body?.cancel();
    const handed = await fetch(tokenUrl, { signal: limit });
    if (!handed.ok) return handed;
    const answer = (await handed.json()) as { token?: string; access_token?: string };
    token = answer.token ?? answer.access_token;
    if (token === undefined) throw new Error(`${tokenUrl} issues no token`);
    return ask();
  };
  const get = async (path: string, limit: AbortSignal): Promise<Response> => {
    const response = await call('GET', path, limit);
    if (!response.ok) throw new Error(refusal(response));
    return response;
  };
  return {
    /** The HTTP status for a tag or digest. */
    status: async (reference: string): Promise<number> =>
      (await call('HEAD', `manifests/${reference}`, within(askWithinMs))).status,
    /** The manifest of a tag or digest. Throws `Error` with a short reason, `TaskError` for another digest. */
    manifest: async (reference: string): Promise<{ digest: string; manifest: ImageManifest }> => {
      const response = await get(`manifests/${reference}`, within(answerWithinMs));
      const content = Buffer.from(await response.arrayBuffer());
      const digest = contentDigest(content);
      if (reference.includes(':')) checkDigest(response.url, reference, digest);
      return { digest, manifest: JSON.parse(content.toString()) };
    },
    /** All tags, from any number of pages. Throws `Error` with a short reason. */
    tags: async (): Promise<readonly string[]> => {
      const limit = within(2 * answerWithinMs);
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
export function contentDigest(content: Uint8Array): string {
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
function checkDigest(url: string, expected: string, got: string): void {
  if (got === expected) return;
  // Without the query, which may contain tokens for the registry's storage.
  const { origin, pathname } = new URL(url);
  throw new TaskError({
    what: `${origin}${pathname} has the wrong checksum and was not used`,
    why: `expected ${expected}, got ${got}: it was changed after it was pinned, or in transit`,
    advice: 'try again without a proxy or mirror; if it stays, tell the publisher',
  });
}
