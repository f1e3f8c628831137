import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';

/** A failure of a host: its answer to requests for a matching `host/path`. */
export type Fault = {
  readonly at: RegExp;
  readonly play: (response: ServerResponse, content: Buffer, request: IncomingMessage) => void;
};

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

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

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

function tarGz(path: string, text: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'archive-'));
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text, { mode: 0o755 });
  const archive = execFileSync('tar', ['-cz', '-C', folder, path]);
  rmSync(folder, { recursive: true });
  return archive;
}

/** A zip archive of one executable file, not compressed (PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16). */
function zip(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0); // version needed; flags, method, time and date stay 0
  common.writeUInt32LE(crc32(content), 10);
  common.writeUInt32LE(content.length, 14);
  common.writeUInt32LE(content.length, 18);
  common.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), content]);
  const attributes = Buffer.alloc(14);
  attributes.writeUInt32LE((0o100755 << 16) >>> 0, 6);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, attributes, Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

/**
 * Where an asset lies, without `https://`; the file with its checksum, in the same folder; the program's path in an
 * archive. With places for the parts of a target: `{os}`, `{Os}`, `{arch}`, `{v}`, `{program}`, and `{asset}`.
 */
type Shape = readonly [path: string, sums?: string, member?: string];

const github = (repository: string, asset: string) =>
  `github.com/${repository}/releases/download/v{v}/${asset}`;
const kubernetes: Shape = ['dl.k8s.io/v{v}/bin/{os}/{arch}/{program}', '{asset}.sha256'];

/** How the publishers of the manifest's tools name what they publish. */
const shapes: { readonly [tool: string]: Shape } = {
  sops: [github('getsops/sops', 'sops-v{v}.{os}.{arch}'), 'sops-v{v}.checksums.txt'],
  helm: ['get.helm.sh/helm-v{v}-{os}-{arch}.tar.gz', '{asset}.sha256sum', '{os}-{arch}/helm'],
  etcd: [
    github('etcd-io/etcd', 'etcd-v{v}-{os}-{arch}.{archive}'),
    'SHA256SUMS',
    'etcd-v{v}-{os}-{arch}/etcd',
  ],
  'kube-apiserver': kubernetes,
  'kube-controller-manager': kubernetes,
  'kube-scheduler': kubernetes,
  'kube-apiserver-newest': kubernetes,
  kubectl: kubernetes,
  kwokctl: [github('kubernetes-sigs/kwok', 'kwokctl-{os}-{arch}')],
  kwok: [github('kubernetes-sigs/kwok', 'kwok-{os}-{arch}')],
  helmfile: [
    github('helmfile/helmfile', 'helmfile_{v}_{os}_{arch}.tar.gz'),
    'helmfile_{v}_checksums.txt',
    'helmfile',
  ],
  vault: ['releases.hashicorp.com/vault/{v}/vault_{v}_{os}_{arch}.zip', 'vault_{v}_SHA256SUMS', 'vault'],
  minikube: [github('kubernetes/minikube', 'minikube-{os}-{arch}'), '{asset}.sha256'],
  go: ['dl.google.com/go/go{v}.{os}-{arch}.tar.gz', '{asset}.sha256', 'go/bin/go'],
  actionlint: [
    github('rhysd/actionlint', 'actionlint_{v}_{os}_{arch}.tar.gz'),
    'actionlint_{v}_checksums.txt',
    'actionlint',
  ],
  k9s: [github('derailed/k9s', 'k9s_{Os}_{arch}.tar.gz'), 'checksums.sha256', 'k9s'],
};

export const playedTools = Object.keys(shapes);

/** What the publishers of these tools have for Linux and macOS, by `host/path`. A program prints its name and version. */
export function publish(tools: readonly ToolEntry[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const { name, version: v = '' } of tools)
    for (const os of ['linux', 'darwin'])
      for (const arch of ['amd64', 'arm64']) {
        const [path, sums, member] = shapes[name] ?? [];
        if (path === undefined) continue;
        const isLinux = os === 'linux';
        const parts: { [part: string]: string } = {
          ...{ os, arch, v, Os: isLinux ? 'Linux' : 'Darwin', archive: isLinux ? 'tar.gz' : 'zip' },
          program: name.replace('-newest', ''),
        };
        const filled = (text: string) => text.replaceAll(/\{(\w+)\}/g, (_, part) => parts[part] ?? '');
        const place = filled(path);
        parts.asset = basename(place);
        const program = `#!/bin/sh\necho ${name} version v${v}\n`;
        const pack = place.endsWith('.zip') ? zip : tarGz;
        const content = member === undefined ? Buffer.from(program) : pack(filled(member), program);
        files.set(place, content);
        if (sums === undefined) continue;
        const file = join(dirname(place), filled(sums));
        const line = sums.includes('{asset}')
          ? sha256(content)
          : `${files.get(file) ?? ''}${sha256(content)}  ${parts.asset}\n`;
        files.set(file, Buffer.from(line));
      }
  return files;
}
