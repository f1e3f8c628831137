import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { secretForms } from '../../../lib/secrets/leaks.ts';
import type { KubernetesObject } from '../../charts/render.ts';
import { readText } from '../sandbox.ts';
import {
  filesIn,
  refuses,
  sandbox,
  secretsFile,
  settingsFile,
  somebody,
  succeeds,
  withFile,
} from './shared.ts';

export const rendered = suite('rendered');

const folder = sandbox.path('gitops', 'development');
const render = (...words: readonly string[]) => succeeds('render', '--output', folder, ...words);

const files = async (): Promise<string[]> => (await filesIn(folder)).sort();

/** Objects that an install creates, by kind and name, with their namespaces. */
function installs(text: string, namespace: string): Map<string, KubernetesObject> {
  const objects = parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const object = document.toJS() as KubernetesObject | null;
    if (object === null || /^(?!.*-install)./.test(object.metadata.annotations?.['helm.sh/hook'] ?? ''))
      return [];
    const isNamespaced = !/^(?:Cluster|Namespace$|PriorityClass$)/.test(object.kind);
    const metadata = { ...(isNamespaced ? { namespace } : {}), ...object.metadata };
    return [[`${object.kind} ${metadata.namespace}/${metadata.name}`, { ...object, metadata }] as const];
  });
  return new Map(objects.sort(([one], [other]) => (one < other ? -1 : 1)));
}

rendered('what is rendered is what is installed, and shows no secret', async () => {
  await mkdir(sandbox.path('gitops', '.git'), { recursive: true });
  await render();
  const written = await files();
  assert.ok(written.includes('02-postgresql/hooks/hooks.yaml'));
  const values = JSON.parse(await somebody(`sops decrypt --output-type json ${secretsFile()}`));
  const forms = Object.values<string>(values).flatMap(secretForms);
  assert.ok(forms.length > 5);
  const texts = new Map<string, string>();
  for (const file of written) {
    const path = join(folder, file);
    const text = await readText(path);
    assert.not.ok(forms.some((form) => text.includes(form.text)) || /PRIVATE KEY/.test(text), file);
    texts.set(file, file.endsWith('.sops.yaml') ? await somebody(`sops decrypt ${path}`) : text);
  }
  for (const { name, namespace } of await declaredReleases(sandbox.folder)) {
    const own = written.filter((file) => file.slice(3).startsWith(`${name}/`));
    const made = installs(own.map((file) => texts.get(file)).join('\n---\n'), namespace);
    const helm = `helm -n ${namespace} get`;
    const stored = await somebody(`${helm} manifest ${name}; ${helm} hooks ${name}`);
    const installed = installs(stored, namespace);
    const certificate = `Secret frontend/${name}-tls`;
    if (name.endsWith('-front')) {
      const live = await somebody(`kubectl -n frontend get secret ${name}-tls -o jsonpath={.data}`);
      assert.equal(made.get(certificate)?.data, JSON.parse(live));
    }
    made.delete(certificate);
    assert.ok(installed.size > 0, name);
    assert.equal([...made], [...installed], name);
  }
});

rendered('a release that is left out is no longer rendered, and Flux installs in order', async () => {
  const without = (text: string) => `${text}\n  reloader: { installed: false }\n`;
  await withFile(settingsFile(), without, () => render('--format', 'flux'));
  const written = await files();
  assert.not.ok(written.some((file) => file.includes('reloader')));
  const order = await readText(join(folder, 'releases.yaml'));
  assert.match(order, 'path: ./development/02-postgresql/hooks');
  assert.match(order, 'name: development-app1-back\n');
  assert.match(await readText(join(folder, 'kustomization.yaml')), /resources:\n {2}- releases\.yaml\n$/);
});

rendered('a secret outside of a Secret, and Argo CD without a repository, are refused', async () => {
  const shown = (text: string) =>
    `${text}\n  devops: { priorityClasses: { shown: { value: 1, description: sops://database.yaml#/app2Password } } }\n`;
  const before = await files();
  await withFile(settingsFile(), shown, () =>
    refuses(['render', '--output', folder], 1, /01-devops.manifests\.yaml would show a secret/),
  );
  assert.equal(await files(), before);
  await refuses(['render', '--output', folder, '--format', 'argocd'], 2, /`gitops\.repository` is empty/);
});
