import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

/** What minikube asks a Docker engine before it checks its flags: a machine that is large enough. */
const info = {
  ID: 'test',
  Name: 'test',
  ServerVersion: '27.3.0',
  SystemTime: '2026-01-01T00:00:00Z',
  NCPU: 16,
  MemTotal: 64 * 2 ** 30,
  OSType: 'linux',
  OperatingSystem: 'Linux',
  Architecture: 'x86_64',
  Driver: 'overlay2',
  CgroupDriver: 'systemd',
  CgroupVersion: '2',
  SecurityOptions: [],
};

const version = {
  Platform: { Name: 'Docker Engine - Community' },
  Version: '27.3.0',
  ApiVersion: '1.47',
  MinAPIVersion: '1.24',
  Os: 'linux',
  Arch: 'amd64',
};

/**
 * Listens on a socket in the folder like an engine without containers, and returns the value for DOCKER_HOST: enough
 * for `minikube start --dry-run`, not for a cluster. Answers 404 to everything that would create something.
 */
export async function startDockerEngine(folder: string): Promise<{ host: string; server: Server }> {
  const answers: { readonly [path: string]: unknown } = {
    '/_ping': 'OK',
    '/info': info,
    '/version': version,
    '/containers/json': [],
    '/networks': [],
    '/volumes': { Volumes: [] },
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/v[\d.]+/, '').replace(/\?.*$/, '');
    const answer = answers[path];
    response.writeHead(answer === undefined ? 404 : 200, {
      'content-type': 'application/json',
      'api-version': version.ApiVersion,
      ostype: 'linux',
    });
    const body = answer ?? { message: `no ${path} here` };
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
  });
  const socket = join(folder, 'docker.sock');
  server.listen(socket);
  await once(server, 'listening');
  return { host: `unix://${socket}`, server };
}
