import { createHash } from 'node:crypto';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';
import { tarGz, zip } from './archives.ts';

/** What hosts answer, by `host/path`. */
export type Files = Map<string, Buffer>;

/** The assets of releases at GitHub, which its API lists, by `owner/repository` and tag. */
export type GitHubReleases = Map<string, string[]>;

type Target = { readonly os: string; readonly arch: string; readonly v: string; readonly name: string };

/** With places for the parts of a target: `{os}`, `{Os}`, `{arch}`, `{v}`, `{program}`, and `{asset}` in `sums`. */
type Shape = {
  /** Where the asset lies, without `https://`. */
  readonly path: string;
  /** The program's path in an archive. */
  readonly member?: string;
  /** The file with its checksum, in the asset's folder. */
  readonly sums?: string;
  /** Only these operating systems have it. */
  readonly systems?: readonly string[];
};

const github = (repository: string, asset: string) =>
  `github.com/${repository}/releases/download/v{v}/${asset}`;
const both = ['linux', 'darwin'];
const kubectl: Shape = { path: 'dl.k8s.io/v{v}/bin/{os}/{arch}/{program}', sums: '{asset}.sha256' };
const kubernetes = { ...kubectl, systems: ['linux'] };

/** How the publishers of the manifest's tools name what they publish. */
const shapes: { readonly [tool: string]: Shape } = {
  sops: { path: github('getsops/sops', 'sops-v{v}.{os}.{arch}'), sums: 'sops-v{v}.checksums.txt' },
  helm: {
    path: 'get.helm.sh/helm-v{v}-{os}-{arch}.tar.gz',
    ...{ member: '{os}-{arch}/helm', sums: '{asset}.sha256sum' },
  },
  etcd: {
    path: github('etcd-io/etcd', 'etcd-v{v}-{os}-{arch}.{archive}'),
    ...{ member: 'etcd-v{v}-{os}-{arch}/etcd', sums: 'SHA256SUMS' },
  },
  'kube-apiserver': kubernetes,
  'kube-controller-manager': kubernetes,
  'kube-scheduler': kubernetes,
  'kube-apiserver-newest': kubernetes,
  kubectl,
  kwokctl: { path: github('kubernetes-sigs/kwok', 'kwokctl-{os}-{arch}') },
  kwok: { path: github('kubernetes-sigs/kwok', 'kwok-{os}-{arch}') },
  helmfile: {
    path: github('helmfile/helmfile', 'helmfile_{v}_{os}_{arch}.tar.gz'),
    ...{ member: 'helmfile', sums: 'helmfile_{v}_checksums.txt' },
  },
  vault: {
    path: 'releases.hashicorp.com/vault/{v}/vault_{v}_{os}_{arch}.zip',
    ...{ member: 'vault', sums: 'vault_{v}_SHA256SUMS' },
  },
  minikube: { path: github('kubernetes/minikube', 'minikube-{os}-{arch}'), sums: '{asset}.sha256' },
  go: {
    path: 'dl.google.com/go/go{v}.{os}-{arch}.tar.gz',
    ...{ member: 'go/bin/go', sums: '{asset}.sha256' },
  },
  actionlint: {
    path: github('rhysd/actionlint', 'actionlint_{v}_{os}_{arch}.tar.gz'),
    ...{ member: 'actionlint', sums: 'actionlint_{v}_checksums.txt' },
  },
  k9s: {
    path: github('derailed/k9s', 'k9s_{Os}_{arch}.tar.gz'),
    ...{ member: 'k9s', sums: 'checksums.sha256' },
  },
};

/** The tools whose releases are played. */
export const playedTools = Object.keys(shapes);

/** A program that answers like the real one, with its version and, if it prints one, its name. */
export const answer = (name: string, version: string): string =>
  `#!/bin/sh\necho ${name} version v${version}\n`;

/** Everything that the publishers of these tools have for Linux and macOS. */
export function publish(tools: readonly ToolEntry[]): { files: Files; releases: GitHubReleases } {
  const files: Files = new Map();
  const releases: GitHubReleases = new Map();
  for (const { name, version: v = '' } of tools) {
    const shape = shapes[name];
    if (shape === undefined) continue;
    for (const os of shape.systems ?? both)
      for (const arch of ['amd64', 'arm64']) publishOne(shape, { os, arch, v, name }, files, releases);
  }
  return { files, releases };
}

function publishOne(shape: Shape, target: Target, files: Files, releases: GitHubReleases): void {
  const { os, name, v } = target;
  const parts: Readonly<Record<string, string>> = {
    ...target,
    Os: os === 'linux' ? 'Linux' : 'Darwin',
    archive: os === 'linux' ? 'tar.gz' : 'zip',
    program: name.replace('-newest', ''),
  };
  let asset = '';
  const filled = (text: string) => text.replaceAll(/\{(\w+)\}/g, (_, part) => parts[part] ?? asset);
  const path = filled(shape.path);
  asset = path.slice(path.lastIndexOf('/') + 1);
  const folder = path.slice(0, -asset.length);
  const program = answer(name, v);
  const pack = asset.endsWith('.zip') ? zip : tarGz;
  const content = shape.member === undefined ? Buffer.from(program) : pack(filled(shape.member), program);
  files.set(path, content);
  const names = [asset];
  if (shape.sums !== undefined) {
    const sums = filled(shape.sums);
    const line = sums.startsWith(asset) ? sha256(content) : `${sha256(content)}  ${asset}\n`;
    files.set(folder + sums, Buffer.concat([files.get(folder + sums) ?? Buffer.alloc(0), Buffer.from(line)]));
    names.push(sums);
  }
  const [host, owner, repository] = folder.split('/');
  if (host !== 'github.com') return;
  const key = `${owner}/${repository}/v${v}`;
  releases.set(key, [...new Set([...(releases.get(key) ?? []), ...names.map((item) => folder + item)])]);
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
