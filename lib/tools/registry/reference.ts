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
