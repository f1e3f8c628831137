import { mkdir, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { secretForms } from '../../../lib/secrets/leaks.ts';
import { readText, secretOf } from '../sandbox.ts';
import { loginOf, refuses, sandbox, scenario, settingsFile, somebody, succeeds, withFile } from './shared.ts';

/* What `render` writes, beside what is installed. */

const tests = scenario('rendered');

const folder = sandbox.path('gitops', 'development');
const render = (...words: readonly string[]) => succeeds('render', '--output', folder, ...words);

type Installed = {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: { readonly [name: string]: string };
  };
  readonly data?: { readonly [key: string]: string };
};

/** Paths of the rendered files in the folder, sorted. */
async function files(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** Objects that an install creates, by kind and name, with their namespaces. */
function installs(text: string, namespace: string): Map<string, Installed> {
  const objects = parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const object = document.toJS() as Installed | null;
    if (object === null || /^(?!.*-install)./.test(object.metadata.annotations?.['helm.sh/hook'] ?? ''))
      return [];
    const isNamespaced = !/^(?:Cluster|Namespace$|PriorityClass$)/.test(object.kind);
    const metadata = { ...(isNamespaced ? { namespace } : {}), ...object.metadata };
    return [[`${object.kind} ${metadata.namespace}/${metadata.name}`, { ...object, metadata }] as const];
  });
  return new Map(objects.sort(([one], [other]) => (one < other ? -1 : 1)));
}

tests('what is rendered is what is installed, and the API server accepts it', async () => {
  await mkdir(sandbox.path('gitops', '.git'), { recursive: true });
  await render();
  const written = await files();
  assert.ok(written.includes('02-postgresql/hooks/hooks.yaml'));
  const decrypted = (file: string) => `echo ---; sops decrypt ${join(folder, file)}`;
  for (const { name, namespace } of await declaredReleases(sandbox.folder)) {
    const own = written.filter((file) => file.slice(3).startsWith(`${name}/`));
    const rendered = installs(
      await somebody(
        own
          .map((file) => (file.endsWith('.sops.yaml') ? decrypted(file) : `cat ${join(folder, file)}`))
          .join('\n'),
      ),
      namespace,
    );
    const helm = `helm -n ${namespace} get`;
    const installed = installs(await somebody(`${helm} manifest ${name}; ${helm} hooks ${name}`), namespace);
    const certificate = `Secret frontend/${name}-tls`;
    if (name.endsWith('-front')) {
      const live = await secretOf(sandbox, 'frontend', `${name}-tls`);
      const data = Object.entries(rendered.get(certificate)?.data ?? {});
      assert.equal(
        Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()])),
        live,
      );
    }
    rendered.delete(certificate);
    assert.ok(installed.size > 0, name);
    assert.equal([...rendered], [...installed], name);
  }
  const apply = 'kubectl apply --server-side --force-conflicts --dry-run=server -f';
  const plain = written.filter((file) => !file.endsWith('.sops.yaml')).map((file) => join(folder, file));
  const secrets = written.filter((file) => file.endsWith('.sops.yaml')).map((file) => join(folder, file));
  assert.ok(secrets.length > 5);
  const accepted = await somebody(
    `${apply} ${plain.join(' -f ')}; for file in ${secrets.join(' ')}; do echo ---; sops decrypt $file; done | ${apply} -`,
  );
  assert.not.match(accepted, /^(?!.* serverside-applied \(server dry run\)$)./m);
});

tests('no rendered file shows a secret, and a second rendering changes nothing', async () => {
  const { DB_PASSWORD = '' } = await loginOf('app2');
  const values = await somebody(
    'sops decrypt --output-type json environments/development/secrets/database.yaml',
  );
  const secrets = Object.values(JSON.parse(values)) as string[];
  assert.ok(secrets.includes(DB_PASSWORD));
  const forms = secrets.flatMap(secretForms);
  for (const file of await files()) {
    const text = await readText(join(folder, file));
    assert.not.ok(forms.some((form) => text.includes(form.text)) || /PRIVATE KEY/.test(text), file);
  }
  assert.match((await render()).stderr, /render .* unchanged/);
});

tests('a release that is left out is no longer rendered, and Flux installs in order', async () => {
  const without = (text: string) => `${text}\n  reloader: { installed: false }\n`;
  await withFile(settingsFile(), without, () => render('--format', 'flux'));
  const written = await files();
  assert.not.ok(written.some((file) => file.includes('reloader')));
  const order = await readText(join(folder, 'releases.yaml'));
  assert.match(order, 'path: ./development/02-postgresql/hooks');
  assert.match(order, 'name: development-app1-back\n');
  assert.match(await readText(join(folder, 'kustomization.yaml')), /resources:\n {2}- releases\.yaml\n$/);
});

tests('a foreign folder, and a secret outside of a Secret, are refused', async () => {
  const foreign = sandbox.path('docs');
  await refuses(['render', '--output', foreign], 2, /docs has .*, which was not rendered from environment/);
  const shown = (text: string) =>
    `${text}\n  devops: { priorityClasses: { shown: { value: 1, description: sops://database.yaml#/app2Password } } }\n`;
  const before = await files();
  await withFile(settingsFile(), shown, () =>
    refuses(['render', '--output', folder], 1, /01-devops.manifests\.yaml would show a secret/),
  );
  assert.equal(await files(), before);
  await refuses(['render', '--output', folder, '--format', 'argocd'], 2, /`gitops\.repository` is empty/);
});

tests.runIfAsked();
