import { readdir, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { stringify } from 'yaml';
import { place } from '../certificates/shared-authority.ts';
import { checkWritable } from '../ground/files.ts';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { shellWord } from '../ground/shell-words.ts';
import { helmfileText, type Release, selectReleases } from '../helm/helmfile.ts';
import type { SecretObject } from '../helm/live-objects.ts';
import { render } from '../helm/rendered.ts';
import { routeSecrets } from '../ingress/certificates.ts';
import { decryptObjects, type EncryptedObject, encryptObjects, encryptWords } from '../secrets/encrypt.ts';
import { findPrivateKeys, secretForms, shortestSecret } from '../secrets/leaks.ts';
import { isShared } from '../secrets/shared-file.ts';
import { redactSecrets } from '../secrets/sops.ts';
import type { Context, Target } from '../settings/context.ts';
import { type NewFile, replaceFiles } from '../settings/replace-files.ts';
import { ensureServerCertificates } from '../vault/server-certificates.ts';
import { applicationSet, type Format, hooksFile, kustomizations, manifestsOf, stepsOf } from './manifests.ts';

const encryptedEnding = '.sops.yaml';

type RenderArguments = { readonly output: string; readonly format: Format | undefined };

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
  if (isShared(environment)) await bringCertificates(context, earlier.values());
  const texts = await render(context, releases, templateWords(context));
  const certificates = await routeSecrets(context, releases);
  const steps = stepsOf(releases);
  const files = new Map<string, string>();
  const secrets = new Map<string, SecretObject>();
  const rendered = releases.map((release) => {
    const { name } = release;
    const step = steps.get(name) ?? 1;
    const place = `${String(step).padStart(2, '0')}-${name}`;
    const manifests = manifestsOf(release, texts.get(name) ?? [], format);
    const own = certificates.filter(({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === name);
    for (const object of [...manifests.secrets, ...own])
      secrets.set(join(place, secretName(object, release)), object);
    for (const [file, text] of manifests.files) files.set(join(place, file), text);
    return { ...release, step, folder: place, hasHooks: manifests.files.has(hooksFile) };
  });
  await refuseSecrets(context, files);
  for (const [name, text] of await encryptObjects(context, secrets, earlier)) files.set(name, text);
  if (format !== undefined) {
    const place = { environment: environment.name, path: await pathInRepository(folder) };
    if (format === 'argocd') {
      const { repository } = settings.gitops;
      files.set('applicationset.yaml', stringify(await applicationSet({ ...place, repository }, rendered)));
    } else {
      const objects = await kustomizations(place, rendered);
      files.set('releases.yaml', objects.map((object) => `---\n${stringify(object)}`).join(''));
      for (const [name, resources] of resourcesOf(files)) files.set(name, resources);
    }
  }
  const head = `${headOf(environment.name)}\n`;
  for (const [name, text] of files) if (!text.startsWith(head)) files.set(name, head + text);
  return replaceFolder(folder, before, files);
}

const secretName = ({ metadata }: SecretObject, release: Release): string =>
  `secret-${metadata.namespace ?? release.namespace}-${metadata.name}${encryptedEnding}`;

/**
 * Takes the servers' certificates from the earlier rendering, as an install takes them from the cluster, so that each
 * machine renders the same. Those that another authority signed, or that expire, are replaced.
 */
async function bringCertificates(context: Context, earlier: Iterable<EncryptedObject<SecretObject>>) {
  for (const { object } of earlier) {
    const { metadata, data = {}, stringData = {} } = object;
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
  const folders = new Map<string, string[]>();
  for (const name of files.keys()) {
    const folder = dirname(name);
    if (!folder.includes('/')) folders.set(folder, [...(folders.get(folder) ?? []), basename(name)]);
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

/** The first line of every rendered file. */
export const headOf = (environment: string): string =>
  `# Rendered from environment ${environment} by the task \`render\`, which replaces it.`;

/**
 * The files of an earlier rendering by path in the folder; empty if there is no folder. Throws `UsageError` at the first
 * thing that is not of a rendering, before folders below it are read: the folder may be somebody's home.
 */
export async function renderedFiles(folder: string, environment: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const folders = [folder];
  for (const parent of folders) {
    for (const entry of (await ifThere(readdir(parent, { withFileTypes: true }), parent)) ?? []) {
      const path = join(parent, entry.name);
      const name = relative(folder, path);
      const text = entry.isFile() && name.endsWith('.yaml') ? ((await textIfThere(path)) ?? '') : '';
      if (entry.isDirectory() && /^\d\d+-/.test(name)) folders.push(path);
      else if (text.startsWith(`${headOf(environment)}\n`)) files.set(name, text);
      else
        throw new UsageError({
          what: `${folder} has ${name}, which was not rendered from environment \`${environment}\``,
          why: '`render` replaces the whole folder',
          advice: 'name another folder, or move it away',
        });
    }
  }
  return files;
}

/** Makes the folder hold exactly these files: all of them, or what it held before if one cannot be written. */
export async function replaceFolder(
  folder: string,
  before: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, string>,
): Promise<'changed' | 'unchanged'> {
  const stale = [...before.keys()].filter((name) => !files.has(name));
  const written = [...files].filter(([name, text]) => before.get(name) !== text);
  const changes: NewFile[] = [
    ...written.map(([name, text]) => ({ path: join(folder, name), text })),
    ...stale.map((name) => ({ path: join(folder, name), text: undefined })),
  ];
  if (changes.length === 0) return 'unchanged';
  await replaceFiles(changes);
  for (const name of stale) {
    // Fails at a folder with files.
    for (let path = dirname(join(folder, name)); path !== folder; path = dirname(path))
      await rmdir(path).catch(() => {});
  }
  return 'changed';
}

/** The path of the folder in its git repository. Throws `UsageError` if it is in none. */
export async function pathInRepository(folder: string): Promise<string> {
  for (let top = resolve(folder); ; top = dirname(top)) {
    if ((await ifThere(readdir(top)))?.includes('.git')) return relative(top, resolve(folder));
    if (top === dirname(top)) break;
  }
  throw new UsageError({
    what: `${folder} is not in a git repository`,
    why: 'Argo CD and Flux are given its path in the repository that they read',
    advice: 'name a folder in a clone of that repository',
  });
}
