import { createHash } from 'node:crypto';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';
import { tarGz, zip } from './archives.ts';

/** What hosts answer, by `host/path`. */
export type Files = Map<string, Buffer>;

/** The assets of releases at GitHub, which its API lists, by `owner/repository` and tag. */
export type GitHubReleases = Map<string, string[]>;

type Target = { readonly os: string; readonly arch: string; readonly v: string; readonly name: string };

type Shape = {
  /** Where the asset lies, without `https://`. */
  readonly path: (target: Target) => string;
  /** The program's path in an archive. */
  readonly member?: (target: Target) => string;
  /** The file with its checksum, in the asset's folder. */
  readonly sums?: (asset: string, target: Target) => string;
  /** Only these operating systems have it. */
  readonly systems?: readonly string[];
};

const github = (repository: string, asset: (target: Target) => string): Pick<Shape, 'path'> => ({
  path: (target) => `github.com/${repository}/releases/download/v${target.v}/${asset(target)}`,
});
const kubernetes = (systems: readonly string[]): Shape => ({
  path: ({ v, os, arch, name }) => `dl.k8s.io/v${v}/bin/${os}/${arch}/${name.replace('-newest', '')}`,
  sums: (asset) => `${asset}.sha256`,
  systems,
});
const both = ['linux', 'darwin'];

/** How the publishers of the manifest's tools name what they publish. */
const shapes: { readonly [tool: string]: Shape } = {
  sops: {
    ...github('getsops/sops', ({ v, os, arch }) => `sops-v${v}.${os}.${arch}`),
    sums: (_, { v }) => `sops-v${v}.checksums.txt`,
  },
  helm: {
    path: ({ v, os, arch }) => `get.helm.sh/helm-v${v}-${os}-${arch}.tar.gz`,
    member: ({ os, arch }) => `${os}-${arch}/helm`,
    sums: (asset) => `${asset}.sha256sum`,
  },
  etcd: {
    ...github(
      'etcd-io/etcd',
      (target) => `${etcdFolder(target)}.${target.os === 'linux' ? 'tar.gz' : 'zip'}`,
    ),
    member: (target) => `${etcdFolder(target)}/etcd`,
    sums: () => 'SHA256SUMS',
  },
  'kube-apiserver': kubernetes(['linux']),
  'kube-controller-manager': kubernetes(['linux']),
  'kube-scheduler': kubernetes(['linux']),
  'kube-apiserver-newest': kubernetes(['linux']),
  kubectl: kubernetes(both),
  kwokctl: github('kubernetes-sigs/kwok', ({ os, arch }) => `kwokctl-${os}-${arch}`),
  kwok: github('kubernetes-sigs/kwok', ({ os, arch }) => `kwok-${os}-${arch}`),
  helmfile: {
    ...github('helmfile/helmfile', ({ v, os, arch }) => `helmfile_${v}_${os}_${arch}.tar.gz`),
    member: () => 'helmfile',
    sums: (_, { v }) => `helmfile_${v}_checksums.txt`,
  },
  vault: {
    path: ({ v, os, arch }) => `releases.hashicorp.com/vault/${v}/vault_${v}_${os}_${arch}.zip`,
    member: () => 'vault',
    sums: (_, { v }) => `vault_${v}_SHA256SUMS`,
  },
  minikube: {
    ...github('kubernetes/minikube', ({ os, arch }) => `minikube-${os}-${arch}`),
    sums: (asset) => `${asset}.sha256`,
  },
  go: {
    path: ({ v, os, arch }) => `dl.google.com/go/go${v}.${os}-${arch}.tar.gz`,
    member: () => 'go/bin/go',
    sums: (asset) => `${asset}.sha256`,
  },
  actionlint: {
    ...github('rhysd/actionlint', ({ v, os, arch }) => `actionlint_${v}_${os}_${arch}.tar.gz`),
    member: () => 'actionlint',
    sums: (_, { v }) => `actionlint_${v}_checksums.txt`,
  },
  k9s: {
    ...github('derailed/k9s', ({ os, arch }) => `k9s_${os === 'linux' ? 'Linux' : 'Darwin'}_${arch}.tar.gz`),
    member: () => 'k9s',
    sums: () => 'checksums.sha256',
  },
};

const etcdFolder = ({ v, os, arch }: Target): string => `etcd-v${v}-${os}-${arch}`;

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
  const path = shape.path(target);
  const asset = path.slice(path.lastIndexOf('/') + 1);
  const folder = path.slice(0, -asset.length);
  const program = answer(target.name, target.v);
  const member = shape.member?.(target);
  const content =
    member === undefined
      ? Buffer.from(program)
      : asset.endsWith('.zip')
        ? zip(member, program)
        : tarGz({ [member]: program });
  files.set(path, content);
  const names = [asset];
  if (shape.sums !== undefined) {
    const sums = shape.sums(asset, target);
    const line = sums.startsWith(asset) ? sha256(content) : `${sha256(content)}  ${asset}\n`;
    files.set(folder + sums, Buffer.concat([files.get(folder + sums) ?? Buffer.alloc(0), Buffer.from(line)]));
    names.push(sums);
  }
  const [host, owner, repository] = folder.split('/');
  if (host !== 'github.com') return;
  const key = `${owner}/${repository}/v${target.v}`;
  releases.set(key, [...new Set([...(releases.get(key) ?? []), ...names.map((item) => folder + item)])]);
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
