/** A repository in a container runtime's form: Docker Hub's has no host, and `library/…` if it has no slash. */
export type Repository = { readonly host: string; readonly path: string };

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

/** Calls a path of a repository, such as `manifests/1.2`; returns any status. */
export type RegistryCall = (method: 'GET' | 'HEAD', path: string, signal: AbortSignal) => Promise<Response>;

/** Host and port of a registry's server; Docker Hub's name differs from the registry's. */
export function serverOf(repository: string): string {
  const { host } = parseRepository(repository);
  return host === 'docker.io' ? 'registry-1.docker.io' : host;
}

/**
 * Calls a repository's registry by HTTP (https://github.com/opencontainers/distribution-spec), without a login but
 * with an anonymous token if it issues one. Plain HTTP only for loopback, as in Docker.
 */
export function registryCall(repository: string): RegistryCall {
  const host = serverOf(repository);
  const scheme = /^(?:localhost|127\.[\d.]+)(?::|$)/.test(host) ? 'http' : 'https';
  const base = `${scheme}://${host}/v2/${parseRepository(repository).path}`;
  let token: string | undefined;
  return async (method, path, signal) => {
    // fetch drops the token on a redirect to another host.
    const call = () => {
      const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      return fetch(`${base}/${path}`, {
        method,
        headers: { Accept: manifestTypes, ...authorization },
        signal,
      });
    };
    const first = await call();
    const tokenUrl = first.status === 401 ? tokenAddress(first.headers.get('www-authenticate') ?? '') : '';
    if (tokenUrl === '' || token !== undefined) return first;
    await first.body?.cancel();
    const handed = await fetch(tokenUrl, { signal });
    if (!handed.ok) return handed;
    const answer = (await handed.json()) as { token?: string; access_token?: string };
    token = answer.token ?? answer.access_token;
    if (token === undefined) throw new Error(`${tokenUrl} issues no token`);
    return call();
  };
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
