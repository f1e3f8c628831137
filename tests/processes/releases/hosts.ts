import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { basename, join } from 'node:path';

/** A failure of a host: its answer to requests for a matching `host/path`. */
export type Fault = {
  readonly at: RegExp;
  readonly play: (response: ServerResponse, content: Buffer, request: IncomingMessage) => void;
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

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** Serves the hosts on port 443 with `hosts.crt` and `hosts.key` of the folder. */
export async function playHosts(folder: string) {
  const hosts = {
    /** What they answer, by `host/path`. */
    files: new Map<string, Buffer>(),
    faults: [] as Fault[],
    /** True when GitHub's API returns checksums. */
    digests: true,
    /** `host/path` of every request. */
    requests: [] as string[],
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };

  function find(place: string): Buffer | undefined {
    const paths = [...hosts.files.keys()];
    const [, repository, tag] =
      /^api\.github\.com\/repos\/([^/]+\/[^/]+)\/releases(?:\/tags\/(.+))?$/.exec(place) ?? [];
    if (repository !== undefined) {
      const prefix = `github.com/${repository}/releases/download/`;
      const own = paths.filter((path) => path.startsWith(prefix));
      const tags = [...new Set(own.map((path) => path.slice(prefix.length).split('/')[0] ?? ''))];
      const listed = tags.map((tag_name) => ({
        ...{ tag_name, draft: false, prerelease: false, created_at: '2026-01-01T00:00:00Z' },
        assets: own.filter((path) => path.startsWith(`${prefix}${tag_name}/`)).map(assetOf),
      }));
      if (tag === undefined) return Buffer.from(JSON.stringify(listed));
      return tags.includes(tag) ? Buffer.from(JSON.stringify(listed[tags.indexOf(tag)])) : undefined;
    }
    // Git's "dumb" protocol over HTTP: the versions of Go are the tags of its repository.
    if (place === 'github.com/golang/go/info/refs') {
      const versions = paths.flatMap((path) => /\/go([\d.]+)\.linux-amd64/.exec(path)?.[1] ?? []);
      return Buffer.from(versions.map((version) => `${'1'.repeat(40)}\trefs/tags/go${version}\n`).join(''));
    }
    return hosts.files.get(place.replace(`${store}/`, '').replace('api.github.com/', ''));
  }

  function assetOf(path: string) {
    const digest = `sha256:${sha256(hosts.files.get(path) ?? Buffer.alloc(0))}`;
    const urls = { url: `https://api.github.com/${path}`, browser_download_url: `https://${path}` };
    return { name: basename(path), ...urls, ...(hosts.digests ? { digest } : {}) };
  }

  const [key, cert] = ['hosts.key', 'hosts.crt'].map((name) => readFileSync(join(folder, name)));
  const server = createServer({ key, cert }, (request, response) => {
    const place = `${request.headers.host}${decodeURIComponent((request.url ?? '').replace(/\?.*/, ''))}`;
    hosts.requests.push(place);
    const content = find(place);
    const fault = hosts.faults.find(({ at }) => at.test(place));
    if (fault !== undefined) fault.play(response, content ?? Buffer.alloc(0), request);
    else if (content === undefined) response.writeHead(404).end('{"message":"Not Found"}');
    else if (/^(api\.)?github\.com\/.*\/releases\/download\//.test(place))
      response.writeHead(302, { location: `https://${store}/${place}` }).end();
    else response.writeHead(200, { 'content-length': content.length }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(443, '127.0.0.1', resolve));
  return hosts;
}
