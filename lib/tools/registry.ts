import { checkDigest, digestOf } from './download.ts';

/** Media types of a list of one image's builds, and of one build (Docker's and OCI's). */
const accepted = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

const answerWithinMs = 30_000;

export type Manifest = {
  /** Of a list: one build each. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  /** Of one build: archives, the lowest first. */
  readonly layers?: readonly { readonly digest: string }[];
};

export type Repository = {
  /** The manifest of a tag or digest. Throws `Error` with a reason in a few words, `TaskError` for other content than the digest's. */
  readonly manifest: (reference: string) => Promise<{ readonly digest: string; readonly manifest: Manifest }>;
  /** A layer's content, not verified yet. */
  readonly blob: (digest: string) => Promise<Response>;
};

/** Host (and port) that answers for a repository such as `docker.io/hashicorp/vault`, and its name there. */
export function registryOf(repository: string): { readonly host: string; readonly name: string } {
  const [first = '', ...rest] = repository.split('/');
  const named = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const name = named ? rest.join('/') : repository;
  if (named && first !== 'docker.io') return { host: first, name };
  return { host: 'registry-1.docker.io', name: name.includes('/') ? name : `library/${name}` };
}

/**
 * Reads a repository by the registry's HTTP API (OCI distribution), without a login: where the registry asks for a token, one is
 * fetched for nobody in particular. Plain HTTP only on this machine itself, as Docker does.
 */
export function openRepository(repository: string, signal: AbortSignal): Repository {
  const { host, name } = registryOf(repository);
  const scheme = /^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? 'http' : 'https';
  let token: Promise<string> | undefined;

  const call = async (
    path: string,
    headers: Record<string, string>,
    limit: AbortSignal,
  ): Promise<Response> => {
    const authorization = token === undefined ? {} : { Authorization: `Bearer ${await token}` };
    // Blobs are redirected to other hosts: fetch does not send the token on to them.
    return fetch(`${scheme}://${host}/v2/${name}/${path}`, {
      headers: { ...headers, ...authorization },
      signal: limit,
    });
  };
  const get = async (
    path: string,
    headers: Record<string, string>,
    limit: AbortSignal,
  ): Promise<Response> => {
    let response = await call(path, headers, limit);
    if (response.status === 401 && token === undefined) {
      await response.body?.cancel();
      token = fetchToken(response.headers.get('WWW-Authenticate') ?? '', host, limit);
      response = await call(path, headers, limit);
    }
    if (!response.ok) throw new Error(refusal(host, response));
    return response;
  };
  return {
    manifest: async (reference) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
      const response = await get(`manifests/${reference}`, { Accept: accepted }, limit);
      const content = Buffer.from(await response.arrayBuffer());
      const digest = digestOf(content);
      if (reference.includes(':')) checkDigest(response.url, reference, digest);
      return { digest, manifest: JSON.parse(content.toString()) as Manifest };
    },
    blob: (digest) => get(`blobs/${digest}`, {}, signal),
  };
}

/** By the challenge `Bearer realm="https://…",service="…",scope="…"`. */
async function fetchToken(challenge: string, host: string, signal: AbortSignal): Promise<string> {
  const words = [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]);
  const { realm, ...query } = Object.fromEntries(words) as { realm?: string };
  if (!challenge.startsWith('Bearer ') || realm === undefined) throw new Error(`${host} wants a login`);
  const response = await fetch(`${realm}?${new URLSearchParams(query)}`, { signal });
  if (!response.ok) throw new Error(refusal(new URL(realm).host, response));
  const answer = (await response.json()) as { token?: string; access_token?: string };
  return answer.token ?? answer.access_token ?? '';
}

function refusal(host: string, response: Response): string {
  const { status } = response;
  if (status === 429) return `${host} has a rate limit, which is used up for now (HTTP 429)`;
  return `${host} answered HTTP ${status} for ${new URL(response.url).pathname}`;
}
