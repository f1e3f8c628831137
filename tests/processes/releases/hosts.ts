import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { type Files, type GitHubReleases, sha256 } from './published.ts';

/** A failure of a host: its answer to requests for a matching `host/path`. */
export type Fault = {
  readonly at: RegExp;
  readonly play: (response: ServerResponse, content: Buffer, request: IncomingMessage) => void;
};

export type Hosts = {
  files: Files;
  releases: GitHubReleases;
  faults: Fault[];
  /** True when GitHub's API returns checksums. */
  digests: boolean;
  /** `host/path` of every request. */
  readonly requests: string[];
  readonly close: () => void;
};

/** All simulated host names; /etc/hosts maps them here. */
export const hostNames = [
  'api.github.com',
  'dl.google.com',
  'dl.k8s.io',
  'get.helm.sh',
  'github.com',
  'release-assets.githubusercontent.com',
  'releases.hashicorp.com',
];

const store = 'release-assets.githubusercontent.com';

/** Serves the hosts on port 443 with `hosts.crt` and `hosts.key` of the folder. */
export async function playHosts(folder: string): Promise<Hosts> {
  const [key, cert] = ['hosts.key', 'hosts.crt'].map((name) => readFileSync(join(folder, name)));
  const server = createServer({ key, cert }, (request, response) => {
    const place = `${request.headers.host}${decodeURIComponent((request.url ?? '').replace(/\?.*/, ''))}`;
    hosts.requests.push(place);
    const content = find(hosts, place);
    const fault = hosts.faults.find(({ at }) => at.test(place));
    if (fault !== undefined) fault.play(response, content ?? Buffer.alloc(0), request);
    else if (content === undefined) response.writeHead(404).end('{"message":"Not Found"}');
    else if (/^(api\.)?github\.com\/.*\/releases\/(download|assets)\//.test(place))
      response.writeHead(302, { location: `https://${store}/${place}` }).end();
    else response.writeHead(200, { 'content-length': content.length }).end(content);
  });
  const hosts: Hosts = {
    files: new Map(),
    releases: new Map(),
    faults: [],
    digests: true,
    requests: [],
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  await new Promise<void>((resolve) => server.listen(443, '127.0.0.1', resolve));
  return hosts;
}

function find(hosts: Hosts, place: string): Buffer | undefined {
  const [, owner, repository, tag] =
    /^api\.github\.com\/repos\/([^/]+)\/([^/]+)\/releases(?:\/tags\/(.+))?$/.exec(place) ?? [];
  if (repository !== undefined) {
    const name = `${owner}/${repository}`;
    const listed = [...hosts.releases]
      .filter(([key]) => key.startsWith(`${name}/`))
      .map(([key, paths]) => describeRelease(hosts, name, key.split('/')[2] ?? '', paths));
    const one = listed.find((release) => release.tag_name === tag);
    if (tag !== undefined && one === undefined) return undefined;
    return Buffer.from(JSON.stringify(one ?? listed));
  }
  // Git's "dumb" protocol over HTTP: the versions of Go are the tags of its repository.
  if (place === 'github.com/golang/go/info/refs') {
    const versions = [...hosts.files.keys()].flatMap(
      (path) => /\/go([\d.]+)\.linux-amd64/.exec(path)?.[1] ?? [],
    );
    return Buffer.from(versions.map((version) => `${'1'.repeat(40)}\trefs/tags/go${version}\n`).join(''));
  }
  const path = place.replace(`${store}/`, '');
  const [, key, id] = /^api\.github\.com\/repos\/(.+)\/releases\/assets\/(\d+)$/.exec(path) ?? [];
  if (key === undefined) return hosts.files.get(path);
  const paths = [...hosts.releases].flatMap(([name, assets]) => (name.startsWith(`${key}/`) ? assets : []));
  return hosts.files.get(paths[Number(id)] ?? '');
}

function describeRelease(hosts: Hosts, repository: string, tag: string, paths: readonly string[]) {
  const date = '2026-01-01T00:00:00Z';
  const assets = paths.map((path, id) => {
    const content = hosts.files.get(path) ?? Buffer.alloc(0);
    return {
      id,
      name: path.slice(path.lastIndexOf('/') + 1),
      size: content.length,
      content_type: 'application/octet-stream',
      url: `https://api.github.com/repos/${repository}/releases/assets/${id}`,
      browser_download_url: `https://${path}`,
      ...(hosts.digests ? { digest: `sha256:${sha256(content)}` } : {}),
    };
  });
  const dates = { created_at: date, published_at: date };
  return { id: 1, tag_name: tag, name: tag, draft: false, prerelease: false, ...dates, assets };
}
