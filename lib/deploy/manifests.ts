import { createHash } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import type { Release } from '../helm/helmfile.ts';
import { asHelm, type SecretObject } from '../helm/live-objects.ts';

/** Objects that helm creates after the others (post-install) or before them (pre-install). */
export const hooksFile = 'hooks/hooks.yaml';

/** GitOps tools that can apply what was rendered. */
export type Format = 'argocd' | 'flux';

/** Annotations by which a tool never deletes an object, as `helm.sh/resource-policy: keep` does for helm. */
const kept: { readonly [format in Format]: readonly [string, string] } = {
  argocd: ['argocd.argoproj.io/sync-options', 'Prune=false,Delete=false'],
  flux: ['kustomize.toolkit.fluxcd.io/prune', 'disabled'],
};

/** Kinds without a namespace, in the charts that are used. */
const clusterScoped =
  /^(?:Cluster(?:Role|RoleBinding|Issuer)|Namespace|CustomResourceDefinition|(?:Priority|Storage|Ingress|Gateway|Runtime|VolumeSnapshot)Class|APIService|PersistentVolume|.*WebhookConfiguration|ValidatingAdmissionPolicy(?:Binding)?)$/;

/**
 * Sorts what helm rendered for a release: YAML streams by path in its folder, and its Secrets. Objects that only a
 * test, an upgrade or a removal creates are left out. Each object is given its namespace, as helm does when it installs.
 * For `format`, helm's annotations are translated, which other tools do not know.
 */
export function manifestsOf(release: Release, texts: readonly string[], format?: Format) {
  const secrets: SecretObject[] = [];
  const found: [key: string, file: string, text: string][] = [];
  for (const document of texts.flatMap((text) => [...parseAllDocuments(text, asHelm)])) {
    const [error] = document.errors;
    if (error) throw new Error(`helm rendered ${release.name} to what is no YAML: ${error.message}`);
    const object = document.toJS() as SecretObject | null;
    if (!object?.kind) continue;
    const { kind, metadata } = object;
    const hook = metadata.annotations?.['helm.sh/hook'];
    if (hook !== undefined && !/(?:pre|post)-install/.test(hook)) continue;
    if (metadata.namespace === undefined && !clusterScoped.test(kind))
      document.setIn(['metadata', 'namespace'], release.namespace);
    if (format === 'flux' && hook !== undefined)
      // A Job cannot be changed, only replaced.
      document.setIn(['metadata', 'annotations', 'kustomize.toolkit.fluxcd.io/force'], 'enabled');
    // helm does not delete what is in a chart's folder crds either.
    const isCrd = kind === 'CustomResourceDefinition';
    if (format !== undefined && (isCrd || metadata.annotations?.['helm.sh/resource-policy'] === 'keep')) {
      const [name, value] = kept[format];
      document.setIn(['metadata', 'annotations', name], value);
    }
    if (kind === 'Secret') {
      secrets.push(document.toJS() as SecretObject);
      continue;
    }
    const file = isCrd ? 'crds.yaml' : hook === undefined ? 'manifests.yaml' : hooksFile;
    // Namespaces first: kubectl applies in this order.
    const rank = kind === 'Namespace' ? '' : kind;
    const key = [file, rank, metadata.namespace, metadata.name, object.apiVersion].join('\n');
    found.push([key, file, document.toString({ lineWidth: 0, directives: false }).trimEnd()]);
  }
  const files = new Map<string, string>();
  for (const [, file, text] of found.sort(([one], [other]) => (one < other ? -1 : 1)))
    files.set(file, `${files.get(file) ?? ''}---\n${text}\n`);
  return { files, secrets };
}

/**
 * Releases by the step in which they are installed, from 1: after those that they need. Releases of one step do not
 * need each other.
 */
export function stepsOf(releases: readonly Release[]): ReadonlyMap<string, number> {
  const steps = new Map<string, number>();
  const stepOf = (release: Release): number => {
    const needed = releases.filter(({ id }) => release.needs.includes(id));
    const step = steps.get(release.name) ?? 1 + Math.max(0, ...needed.map(stepOf));
    steps.set(release.name, step);
    return step;
  };
  releases.forEach(stepOf);
  return steps;
}

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
