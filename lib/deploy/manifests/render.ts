import { join, resolve } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { stringify } from 'yaml';
import { place } from '../../certificates/shared-authority.ts';
import { shellWord } from '../../ground/shell-words.ts';
import { checkWritable } from '../../ground/writable-folder.ts';
import { helmfileText, type Release, selectReleases } from '../../helm/helmfile.ts';
import type { SecretObject } from '../../helm/live-objects.ts';
import { render } from '../../helm/render.ts';
import { routeSecrets } from '../../ingress/certificates.ts';
import { decryptObjects, type EncryptedObject, encryptObjects, encryptWords } from '../../secrets/encrypt.ts';
import { findPrivateKeys, secretForms, shortestSecret } from '../../secrets/leaks.ts';
import { isShared } from '../../secrets/shared-file.ts';
import { redactSecrets } from '../../secrets/sops.ts';
import type { Context, Target } from '../../settings/context.ts';
import { ensureServerCertificates } from '../../vault/server-certificates.ts';
import { type Format, hooksFile, manifestsOf, stepsOf } from './files.ts';
import { headOf, pathInRepository, renderedFiles, replaceFolder } from './folder.ts';
import { applicationSet, kustomizations } from './gitops.ts';

const encryptedEnding = '.sops.yaml';

export type RenderArguments = { readonly output: string; readonly format: Format | undefined };

/**
 * The cluster's version comes from the settings, since no cluster is asked. Not `--skip-tests`, which also skips hooks.
 */
const templateWords = ({ settings }: Target): readonly string[] => [
  ...['--include-crds', '--kube-version', settings.cluster.kubernetesVersion],
];

/** Throws `UsageError` for a folder with other files, or if the format lacks something. */
export async function checkOutput({ environment, settings }: Target, { output, format }: RenderArguments) {
  await checkWritable(output);
  await renderedFiles(resolve(output), environment.name);
  if (format !== undefined) await pathInRepository(output);
  if (format !== 'argocd' || settings.gitops.repository !== '') return;
  throw new UsageError({
    what: 'setting `gitops.repository` is empty',
    why: 'an ApplicationSet names the repository that Argo CD reads',
    advice: `set it in environments/${environment.name}/`,
  });
}

/**
 * Writes what an install would apply to a folder: one folder for each release, in order, with
 * CustomResourceDefinitions, objects, hooks, and each Secret encrypted with SOPS. Asks no cluster. Throws `TaskError`
 * if a secret would be readable.
 */
export async function renderManifests(context: Context, { output, format }: RenderArguments) {
  const { environment, settings } = context;
  const folder = resolve(output);
  const before = await renderedFiles(folder, environment.name);
  const { installed: releases } = await selectReleases(context);
  const encryptedBefore = new Map([...before].filter(([name]) => name.endsWith(encryptedEnding)));
  const earlier = await decryptObjects<SecretObject>(context, encryptedBefore);
  if (isShared(environment)) await bringCertificates(context, [...earlier.values()]);
  const texts = await render(context, releases, templateWords(context));
  const certificates = await routeSecrets(context, releases);
  const steps = stepsOf(releases);
  const files = new Map<string, string>();
  const secrets: { name: string; object: SecretObject }[] = [];
  const rendered = releases.map((release) => {
    const { name } = release;
    const step = steps.get(name) ?? 1;
    const place = `${String(step).padStart(2, '0')}-${name}`;
    const manifests = manifestsOf(release, texts.get(name) ?? [], format);
    const own = certificates.filter(({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === name);
    for (const object of [...manifests.secrets, ...own])
      secrets.push({ name: join(place, secretName(object, release)), object });
    for (const [file, text] of manifests.files) files.set(join(place, file), text);
    return { ...release, step, folder: place, hasHooks: manifests.files.has(hooksFile) };
  });
  await refuseSecrets(context, files);
  const encrypted = await encryptObjects(
    context,
    secrets.map(({ name, object }) => ({ object, earlier: earlier.get(name) })),
  );
  secrets.forEach(({ name }, index) => {
    files.set(name, encrypted[index] ?? '');
  });
  if (format !== undefined) {
    const place = { environment: environment.name, path: await pathInRepository(folder) };
    if (format === 'argocd') {
      const { repository } = settings.gitops;
      files.set('applicationset.yaml', stringify(applicationSet({ ...place, repository }, rendered)));
    } else {
      const objects = kustomizations(place, rendered);
      files.set('releases.yaml', objects.map((object) => `---\n${stringify(object)}`).join(''));
      for (const [name, resources] of resourcesOf(files)) files.set(name, resources);
    }
  }
  const head = `${headOf(environment.name)}\n`;
  const whole = [...files].map(([name, text]) => [name, text.startsWith(head) ? text : head + text] as const);
  return replaceFolder(folder, before, new Map(whole));
}

const secretName = ({ metadata }: SecretObject, release: Release): string =>
  `secret-${metadata.namespace ?? release.namespace}-${metadata.name}${encryptedEnding}`;

/**
 * Takes the servers' certificates from the earlier rendering, as an install takes them from the cluster, so that each
 * machine renders the same. Those that another authority signed, or that expire, are replaced.
 */
async function bringCertificates(context: Context, earlier: readonly EncryptedObject<SecretObject>[]) {
  for (const { metadata, data = {}, stringData = {} } of earlier.map(({ object }) => object)) {
    if (!metadata.name.endsWith('-tls')) continue;
    const value = (key: string) => stringData[key] ?? Buffer.from(data[key] ?? '', 'base64').toString();
    const pair = { certificate: value('tls.crt'), key: value('tls.key') };
    context.secret(pair.key);
    await place(context.environment, metadata.name.replace(/-tls$/, ''), pair);
  }
  await ensureServerCertificates(context, { offline: true });
}

/** Lists the files of each folder for Flux, which would otherwise add those of the folders below, such as hooks. */
function resourcesOf(files: ReadonlyMap<string, string>): [name: string, text: string][] {
  const folders = new Map<string, string[]>([['', []]]);
  for (const name of files.keys()) {
    const [folder = '', file = '', below] = name.includes('/') ? name.split('/') : ['', name];
    if (below === undefined) folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  return [...folders].map(([folder, resources]) => [
    join(folder, 'kustomization.yaml'),
    stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources }),
  ]);
}

/** Throws `TaskError` if a file shows a secret of the environment or a private key. */
async function refuseSecrets(context: Context, files: ReadonlyMap<string, string>): Promise<void> {
  const secrets = (await redactSecrets(context)).filter(({ length }) => length >= shortestSecret);
  const forms = secrets.flatMap(secretForms);
  for (const [name, text] of files) {
    if (!forms.some((form) => text.includes(form.text)) && findPrivateKeys(text).length === 0) continue;
    throw new TaskError({
      what: `${name} would show a secret`,
      why: 'an object other than a Secret contains a value of an encrypted file or a private key',
      advice: 'give it to the release in a Secret; nothing was written',
    });
  }
}

/** The same as plain commands. */
export async function renderCommands(target: Target, { output }: RenderArguments): Promise<string[]> {
  const { name } = target.environment;
  const folder = `.state/${name}/rendered`;
  const template = await helmfileText(target, 'template', ...templateWords(target), '--output-dir', folder);
  const file = `environments/${name}/secrets/database.yaml`;
  return [
    `(umask 077 && ${template})`,
    `# ${shellWord(output)} gets the objects by release, and each Secret encrypted: sops ${encryptWords(file).map(shellWord).join(' ')} /dev/stdin`,
    `rm -r ${folder}`,
  ];
}
