import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse, parseAllDocuments } from 'yaml';
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

/** The object of a template in this folder; JSON is YAML. */
async function filled(template: string, values: { readonly [name: string]: unknown }): Promise<object> {
  const text = await readFile(new URL(template, import.meta.url), 'utf8');
  return parse(text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => JSON.stringify(values[name])));
}

/** One Kustomization of Flux for each release, and one for its hooks. */
export function kustomizations(
  { environment, path }: Place,
  releases: readonly Rendered[],
): Promise<object[]> {
  const nameOf = ({ name, hasHooks }: Rendered): string =>
    labelOf(`${environment}-${name}${hasHooks ? '-hooks' : ''}`);
  const all = releases.flatMap((release) => {
    const { folder, needs, timeout, hasHooks } = release;
    const needed = releases.filter(({ id }) => needs.includes(id)).map(nameOf);
    const name = nameOf({ ...release, hasHooks: false });
    const objects = { name, folder, timeout, after: needed };
    const hooks = { name: nameOf(release), folder: below(folder, 'hooks'), timeout, after: [name] };
    return hasHooks ? [objects, hooks] : [objects];
  });
  return Promise.all(
    all.map(({ name, folder, timeout, after }) =>
      filled('flux.yaml', {
        ...{ name, path: `./${below(path, folder)}`, timeout: `${timeout}s` },
        dependsOn: after.map((name) => ({ name })),
      }),
    ),
  );
}

/** An ApplicationSet of Argo CD with an Application for each release. */
export function applicationSet(
  { environment, path, repository }: Place & { readonly repository: string },
  releases: readonly Rendered[],
): Promise<object> {
  const steps = [...new Set(releases.map(({ step }) => step))].sort((one, other) => one - other);
  return filled('argocd.yaml', {
    ...{ environment, name: `${environment}-{{ .release }}`, repository },
    elements: releases.map(({ name, namespace, step, folder }) => ({
      ...{ release: name, namespace, step: String(step), path: below(path, folder) },
    })),
    steps: steps.map((step) => ({
      matchExpressions: [{ key: 'k8s-deployment/step', operator: 'In', values: [String(step)] }],
    })),
  });
}
