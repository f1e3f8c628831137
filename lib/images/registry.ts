import { parseRepository } from './reference.ts';

/** What a registry says of an image to somebody without a login. */
export type RegistryAnswer =
  | { readonly kind: 'there' }
  | { readonly kind: 'absent' }
  /** It wants a login; registries answer so also for what does not exist, such as Docker Hub. */
  | { readonly kind: 'denied' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Of images for one platform and for several (https://github.com/opencontainers/image-spec/blob/main/media-types.md, and Docker's own). */
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** Milliseconds for each of the at most three requests. */
const timeoutMs = 10_000;

/** Asks for the manifest of a tag or digest (https://github.com/opencontainers/distribution-spec, "Pulling manifests"), with a token for anybody where the registry hands one out. */
export async function askRegistry(
  repository: string,
  version: string,
  signal: AbortSignal,
): Promise<RegistryAnswer> {
  const { host, path } = parseRepository(repository);
  const url = `${origin(host)}/v2/${path}/manifests/${version}`;
  const request = (url: string, method: string, headers: { [name: string]: string }) =>
    fetch(url, { method, headers, signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]) });
  const ask = (headers: { [name: string]: string }) =>
    request(url, 'HEAD', { Accept: manifestTypes.join(', '), ...headers });
  try {
    const first = await ask({});
    const tokenUrl = first.status === 401 ? tokenAddress(first.headers.get('www-authenticate') ?? '') : '';
    if (tokenUrl === '') return answerOf(first.status);
    const handed = await request(tokenUrl, 'GET', {});
    if (!handed.ok) return answerOf(handed.status);
    const { token, access_token = token } = (await handed.json()) as {
      token?: string;
      access_token?: string;
    };
    if (access_token === undefined) return { kind: 'unknown', reason: `${tokenUrl} hands out no token` };
    return answerOf((await ask({ Authorization: `Bearer ${access_token}` })).status);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const { message, cause } = error as Error & { cause?: { message?: string } };
    return { kind: 'unknown', reason: cause?.message || message };
  }
}

/** Registries of this machine speak HTTP, as for Docker. Docker Hub's name is not that of its server. */
function origin(host: string): string {
  if (host === 'docker.io') return 'https://registry-1.docker.io';
  return `${/^(?:localhost|127\.[\d.]+)(?::|$)/.test(host) ? 'http' : 'https'}://${host}`;
}

function answerOf(status: number): RegistryAnswer {
  if (status === 200) return { kind: 'there' };
  if (status === 404) return { kind: 'absent' };
  if (status === 401 || status === 403) return { kind: 'denied' };
  return { kind: 'unknown', reason: `it answers ${status}` };
}

/** Where a challenge says that tokens are handed out, or empty (https://distribution.github.io/distribution/spec/auth/token/). */
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
