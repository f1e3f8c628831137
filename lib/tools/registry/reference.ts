/** A repository as a container runtime reads it: without a host it is one of Docker Hub, and there one without a slash is `library/…`. */
export type Repository = { readonly host: string; readonly path: string };

/** Whether a repository begins with a registry's host: its first part has a dot or a port, or is `localhost`. */
const hostForm = /^(?:[^/]*[.:][^/]*|localhost)\//;

export const namesHost = (repository: string): boolean => hostForm.test(repository);

export function parseRepository(repository: string): Repository {
  const host = hostForm.exec(repository)?.[0].slice(0, -1) ?? 'docker.io';
  const path = namesHost(repository) ? repository.slice(host.length + 1) : repository;
  return { host, path: host === 'docker.io' && !path.includes('/') ? `library/${path}` : path };
}

/** An image's name with its host, so that those of Docker (`a/b:1`) and containerd (`docker.io/a/b:1`) can be compared. */
export function fullName(reference: string): string {
  const { host, path } = parseRepository(reference);
  return `${host}/${path}`;
}
