import { createHash } from 'node:crypto';
import type { Release } from '../../helm/helmfile.ts';

/** A rendered release: its folder, and whether the folder `hooks` is in it. */
export type Rendered = Pick<Release, 'name' | 'namespace' | 'id' | 'needs' | 'timeout'> & {
  readonly step: number;
  readonly folder: string;
  readonly hasHooks: boolean;
};

type Place = {
  readonly environment: string;
  /** Path of the rendered folder in its git repository; empty for the repository itself. */
  readonly path: string;
};

const below = (...names: readonly string[]): string => names.filter((name) => name !== '').join('/');

/** A name of at most 63 characters, the limit of labels: Flux gives each object one with its Kustomization's name. */
function labelOf(name: string): string {
  if (name.length <= 63) return name;
  return `${name.slice(0, 54)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

/**
 * One Kustomization of Flux for each release, and one for its hooks, in the namespace and with the source that `flux
 * bootstrap` creates. The Secret `sops-gpg` has the key that decrypts (Flux: "Manage Kubernetes secrets with SOPS").
 */
export function kustomizations({ environment, path }: Place, releases: readonly Rendered[]): object[] {
  const nameOf = ({ name, hasHooks }: Rendered): string =>
    labelOf(`${environment}-${name}${hasHooks ? '-hooks' : ''}`);
  const one = (name: string, folder: string, dependsOn: readonly string[], seconds: number) => ({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name, namespace: 'flux-system' },
    spec: {
      interval: '10m',
      retryInterval: '1m',
      timeout: `${seconds}s`,
      path: `./${below(path, folder)}`,
      prune: true,
      wait: true,
      sourceRef: { kind: 'GitRepository', name: 'flux-system' },
      decryption: { provider: 'sops', secretRef: { name: 'sops-gpg' } },
      dependsOn: dependsOn.map((name) => ({ name })),
    },
  });
  return releases.flatMap((release) => {
    const { folder, needs, timeout, hasHooks } = release;
    const needed = releases.filter(({ id }) => needs.includes(id)).map(nameOf);
    const name = nameOf({ ...release, hasHooks: false });
    const objects = one(name, folder, needed, timeout);
    if (!hasHooks) return [objects];
    return [objects, one(nameOf(release), below(folder, 'hooks'), [name], timeout)];
  });
}

/**
 * An ApplicationSet of Argo CD with an Application for each release, synchronised step by step (Argo CD: "Progressive
 * Syncs"). It leaves out the encrypted Secrets, which Argo CD does not decrypt.
 */
export function applicationSet(
  { environment, path, repository }: Place & { readonly repository: string },
  releases: readonly Rendered[],
): object {
  const steps = [...new Set(releases.map(({ step }) => String(step)))].sort((one, other) => +one - +other);
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'ApplicationSet',
    metadata: { name: environment, namespace: 'argocd' },
    spec: {
      goTemplate: true,
      goTemplateOptions: ['missingkey=error'],
      generators: [
        {
          list: {
            elements: releases.map(({ name, namespace, step, folder }) => ({
              ...{ release: name, namespace, step: String(step) },
              path: below(path, folder),
            })),
          },
        },
      ],
      strategy: {
        type: 'RollingSync',
        rollingSync: {
          steps: steps.map((step) => ({
            matchExpressions: [{ key: 'k8s-deployment/step', operator: 'In', values: [step] }],
          })),
        },
      },
      template: {
        metadata: {
          name: `${environment}-{{ .release }}`,
          labels: { 'k8s-deployment/step': '{{ .step }}' },
        },
        spec: {
          project: 'default',
          source: {
            repoURL: repository,
            targetRevision: 'HEAD',
            path: '{{ .path }}',
            directory: { recurse: true, exclude: '*.sops.yaml' },
          },
          destination: { server: 'https://kubernetes.default.svc', namespace: '{{ .namespace }}' },
          syncPolicy: {
            automated: { prune: true, selfHeal: true },
            syncOptions: ['ServerSideApply=true'],
            retry: { limit: 10 },
          },
        },
      },
    },
  };
}
