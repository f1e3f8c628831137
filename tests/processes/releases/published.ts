import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';
import { sha256 } from './hosts.ts';

/** A compressed tar archive of one executable file. */
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

/** The tools whose releases are played. */
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
