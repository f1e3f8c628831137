import { cp, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { helmfileArguments, objectsOf, ofKind, only, readYaml, renderEnvironment } from './render.ts';
import { cleanUp, root, run, succeed, temporaryFolder, withKeyring } from './tools.ts';

const test = suite('helmfile.yaml');
test.after(cleanUp);

const releases = [
  'devops core core devops',
  'metrics-server core core metrics-server core/devops',
  'vault vault core vault core/devops',
  'vault-operator vault core vault vault/vault',
  'reloader core core reloader core/devops',
  'postgresql database core postgresql core/devops',
  'app1-back backend apps app1 core/devops database/postgresql vault/vault-operator',
  'app1-front frontend apps app1 backend/app1-back',
  'app2-back backend apps app2 core/devops database/postgresql',
  'app2-front frontend apps app2 backend/app2-back',
];

type Release = {
  name: string;
  namespace: string;
  labels: { tier: string; app: string };
  needs?: string[];
  timeout?: number;
};

test('declares the ten releases with namespace, labels, needs and timeout', async () => {
  const file = (await readYaml('helmfile.yaml')) as {
    releases: Release[];
    helmDefaults: { atomic: boolean };
  };
  const found = file.releases.map(({ name, namespace, labels, needs = [] }) =>
    [name, namespace, labels.tier, labels.app, ...needs].join(' '),
  );
  assert.equal(found, releases);
  for (const { name, timeout } of file.releases) assert.ok((timeout ?? 0) >= 60, `${name} has a timeout`);
  assert.is(file.helmDefaults.atomic, true);
});

test('is plain YAML, and charts get only their values', async () => {
  const text = await readFile(join(root, 'helmfile.yaml'), 'utf8');
  const templates = [...text.matchAll(/^.*\{\{.*$/gm)].map(([line]) => line.trim());
  for (const line of templates)
    assert.match(line, /^(chart|version): "\{\{ \.Values\.charts\.[A-Za-z]+\.(chart|version) \}\}"$/);
});

test('renders all ten releases on the embedded cluster, each with objects in its namespace', async () => {
  const rendered = await renderEnvironment('embedded');
  assert.equal([...rendered.keys()].sort(), releases.map((line) => line.split(' ')[0] ?? '').sort());
  for (const [release, text] of rendered) {
    const objects = objectsOf(text);
    assert.ok(objects.length > 0, release);
    const namespace = releases.find((line) => line.startsWith(`${release} `))?.split(' ')[1];
    for (const object of objects) {
      if (release === 'devops' || object.kind === 'ClusterRoleBinding') continue;
      assert.is(object.metadata.namespace, namespace, `${object.kind} ${object.metadata.name}`);
    }
  }
});

for (const provider of ['minikube', 'existing'] as const) {
  test(`renders our own charts for ${provider}, where data is on volumes`, async () => {
    const rendered = await renderEnvironment(provider);
    const server = only(objectsOf(rendered.get('postgresql') ?? ''), 'StatefulSet');
    const claim = server.spec.volumeClaimTemplates[0].spec;
    assert.is(claim.storageClassName, provider === 'minikube' ? 'csi-hostpath-sc' : undefined);
  });
}

test('takes third-party charts from upstream, with a pinned version, where pods are real', async () => {
  const list = async (provider: 'minikube' | 'embedded') => {
    const args = [...(await helmfileArguments(provider, 'development')), 'list', '--output', 'json'];
    const found = JSON.parse((await succeed('helmfile', args)).stdout) as {
      name: string;
      chart: string;
      version: string;
    }[];
    return new Map(found.map(({ name, chart, version }) => [name, `${chart} ${version}`]));
  };
  const upstream = await list('minikube');
  assert.match(upstream.get('vault') ?? '', /^hashicorp\/vault \d+\.\d+\.\d+$/);
  assert.match(upstream.get('vault-operator') ?? '', /^hashicorp\/vault-secrets-operator \d+\.\d+\.\d+$/);
  assert.match(upstream.get('reloader') ?? '', /^stakater\/reloader \d+\.\d+\.\d+$/);
  assert.match(upstream.get('metrics-server') ?? '', /^metrics-server\/metrics-server \d+\.\d+\.\d+$/);
  const embedded = await list('embedded');
  for (const name of ['vault', 'vault-operator', 'reloader', 'metrics-server']) {
    assert.is(embedded.get(name)?.trim(), './charts/stand-in');
  }
});

/** A copy of the files that helmfile reads, for tests that change them. */
async function copyOfReleases(): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of ['charts', 'environments', 'helmfile.yaml']) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  return folder;
}

// YAML reads the others as a number, a boolean or null.
for (const name of ['staging', '1234', '010', '1e3', 'true', 'null']) {
  test(`a copied folder is a new environment whose hosts and secrets follow its name, ${name}`, async () => {
    const folder = await copyOfReleases();
    await rename(join(folder, 'environments/development'), join(folder, 'environments', name));
    const rendered = await renderEnvironment('embedded', name, folder);
    const hosts = ['app1-front', 'app2-front'].flatMap((release) =>
      ofKind(objectsOf(rendered.get(release) ?? ''), 'Ingress').map((route) => route.spec.rules[0].host),
    );
    assert.equal([...new Set(hosts)].sort(), [
      `app1-front.${name}.k8s-deployment.test`,
      `app2-front.${name}.k8s-deployment.test`,
    ]);
    assert.ok(only(objectsOf(rendered.get('devops') ?? ''), 'Secret').stringData.DB_PASSWORD.length >= 16);
  });
}

/** Result of helmfile when it renders a release with more settings. */
async function renderWith(release: string, settings: string) {
  const folder = await copyOfReleases();
  await writeFile(join(folder, 'more.yaml'), settings);
  const args = [
    ...(await helmfileArguments('embedded', 'development')),
    ...['--state-values-file', 'more.yaml', '--selector', `name=${release}`, 'template'],
  ];
  return withKeyring((environment) => run('helmfile', args, { folder, environment }));
}

for (const [title, release, settings, message] of [
  [
    'a secret as a value of any release but devops and postgresql',
    'app1-back',
    'releases: {app1-back: {database: {name: sops://database.yaml#/password}}}',
    'release app1-back may not have a secret as a value',
  ],
  [
    'a reference to a secret that helmfile alone would understand',
    'app1-back',
    'releases: {app1-back: {database: {name: ref+sops://environments/development/secrets/database.yaml#/password}}}',
    'release app1-back has a value with ref+',
  ],
  [
    'a reference that a template gives, which would stay as it is',
    'devops',
    "releases: {devops: {databaseSecrets: {app2-back-database: {password: '{{ .Values.database.applications.app2.password }}'}}}}",
    'release devops has a reference that is not a whole value',
  ],
] as const) {
  test(`refuses ${title}`, async () => {
    const ended = await renderWith(release, settings);
    assert.is.not(ended.exitCode, 0);
    assert.match(ended.stderr, message);
  });
}

test('the platform may call all addresses of the pods’ family except those of pods', async () => {
  for (const [podCidr, all] of [
    ['10.244.0.0/16', '0.0.0.0/0'],
    ['fd00:10:244::/56', '::/0'],
  ]) {
    const ended = await renderWith('devops', `cluster: { podCidr: "${podCidr}" }`);
    const policies = ofKind(objectsOf(ended.stdout), 'NetworkPolicy');
    const blocks = policies.flatMap(({ spec }) =>
      // biome-ignore lint/suspicious/noExplicitAny: rules of a policy
      (spec.egress ?? []).flatMap(({ to = [] }: any) => to.flatMap(({ ipBlock }: any) => ipBlock ?? [])),
    );
    assert.ok(blocks.length > 0);
    for (const block of blocks) assert.equal(block, { cidr: all, except: [podCidr] });
  }
});

test.run();
