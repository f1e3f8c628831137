import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { declaredReleases } from '../../lib/helm/helmfile.ts';
import { releaseTable } from '../rig/applications.ts';
import {
  copyOfReleases,
  environments,
  helmfile,
  helmfileText,
  isWhole,
  objectsWith,
  releaseObjects,
  renderEnvironment,
} from './environments.ts';
import {
  containerOf,
  type KubernetesObject,
  objectsOf,
  ofKind,
  only,
  readYaml,
  type Tree,
} from './render.ts';
import { root, temporaryFolder } from './tools.ts';

const test = suite('helmfile.yaml');

test('declares the releases with namespace, labels, needs and timeout', async () => {
  const declared = await declaredReleases(root);
  const found = declared.map(({ name, namespace, tier, app, needs }) =>
    [name, namespace, tier, app, ...needs].join(' '),
  );
  assert.equal(found, releaseTable, '`releaseTable` in tests/rig/applications.ts');
  const { releases, helmDefaults } = await readYaml('helmfile.yaml');
  for (const { name, timeout = 0 } of releases as { name: string; timeout?: number }[])
    assert.ok(timeout >= 60, `${name}: timeout in helmfile.yaml`);
  assert.is((helmDefaults as Tree).atomic, true);
});

test('is plain YAML, and charts get only their values', async () => {
  const text = await readFile(join(root, 'helmfile.yaml'), 'utf8');
  const once = /^ {4}installedTemplate: .*$/m;
  assert.match(text, once);
  const templates = [...text.replace(once, '').matchAll(/^.*\{\{.*$/gm)].map(([line]) => line.trim());
  for (const line of templates)
    assert.match(line, /^(chart|version): "\{\{ \.Values\.charts\.[A-Za-z]+\.(chart|version) \}\}"$/);
});

test('waits for the pods of the operator, not for its connection, which is not Ready before init-vault', async () => {
  const folder = temporaryFolder();
  const helm = join(folder, 'helm');
  const script = `#!/bin/sh\n[ "$1" = version ] && echo v4.3.1\necho "$*" >> ${folder}/calls\n`;
  await writeFile(helm, script, { mode: 0o755 });
  await helmfileText('existing', 'development', ['--helm-binary', helm, 'sync'], {
    selectors: ['app=vault', 'app=metrics-server'],
  });
  const calls = await readFile(join(folder, 'calls'), 'utf8');
  const waits = [...calls.matchAll(/ upgrade --install (\S+) .*(--wait(?:=\S+)?)(?= |$)/gm)];
  assert.equal(waits.map(([, name, wait]) => `${name} ${wait}`).sort(), [
    'metrics-server --wait',
    'vault --wait',
    'vault-operator --wait=legacy',
  ]);
});

test('upstream charts are given the images of the settings, with digest', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const names = ['vault', 'vaultOperator', 'kubeRbacProxy', 'reloader', 'metricsServer'];
  const images = names.map((name) => [name, { repository: `example.com/${name}`, tag: '1', digest }]);
  const folder = temporaryFolder();
  const words = ['write-values', '--output-file-template', join(folder, '{{ .Release.Name }}.yaml')];
  await helmfileText('existing', 'development', words, {
    settings: JSON.stringify({ images: Object.fromEntries(images) }),
    selectors: ['app=vault', 'app=reloader', 'app=metrics-server'],
  });
  const files = (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8'));
  const found = JSON.stringify((await Promise.all(files)).map((text) => parse(text)));
  for (const name of names) {
    assert.ok(found.includes(`"repository":"example.com/${name}"`), `${name}: ${found}`);
    assert.ok(found.includes(name === 'reloader' ? `"digest":"${digest}"` : `"tag":"1@${digest}"`), name);
  }
});

for (const [provider, environment] of environments.filter(([on, name]) => isWhole(on, name)))
  test(`renders all releases of ${environment} on ${provider}`, async () => {
    const rendered = await renderEnvironment(provider, environment);
    assert.equal([...rendered.keys()].sort(), releaseTable.map((line) => line.split(' ')[0]).sort());
    for (const [release, text] of rendered) assert.ok(objectsOf(text).length > 0, release);
  });

test('values of a chart hold for each of its releases, whose own win; a release may be left out', async () => {
  const settings = `releases:
  backend: { drainSeconds: 7 }
  frontend: { backend: { timeoutSeconds: 50 } }
  app1-back: { drainSeconds: 9, autoRollback: false }
  app1-front: { backend: { timeoutSeconds: 70 }, installed: true }
  reloader: { installed: false }`;
  const objects = await objectsWith(settings, ['app=app1', 'app=app2', 'app=reloader']);
  const pods = ofKind(objects, 'Deployment').map(({ metadata, spec }) => {
    const { containers, terminationGracePeriodSeconds } = spec.template.spec;
    return [metadata.name, containers[0].lifecycle.preStop.sleep.seconds, terminationGracePeriodSeconds];
  });
  // A backend waits for the longest request of its front.
  assert.equal(pods.sort(), [
    ['app1-back', 9, 9 + 5 + 70],
    ['app1-front', 5, 5 + 5 + 70],
    ['app2-back', 7, 7 + 5 + 50],
    ['app2-front', 5, 5 + 5 + 50],
  ]);
  const hooks = ofKind(objects, 'Job').map(({ metadata }) => metadata.annotations?.['helm.sh/hook']);
  assert.equal(hooks.sort(), ['test', 'test,post-install,post-upgrade']);
});

test('PostgreSQL and its namespace grow with the sessions of applications; Traefik is read in its namespace', async () => {
  const limits = (objects: readonly KubernetesObject[]) => {
    const { args, resources } = containerOf(objects, 'StatefulSet');
    return [(args as string[]).find((word) => word.startsWith('max_connections=')), resources.limits.memory];
  };
  assert.equal(limits(await releaseObjects('postgresql', 'embedded')), ['max_connections=100', '512Mi']);
  const many = Array.from({ length: 150 }, (_, index) => [`app${index + 1}`, { password: '' }]);
  // Without a login or a database of its own.
  const applications = { ...Object.fromEntries(many), app2: null };
  const settings = {
    database: { applications },
    releases: { postgresql: { connectionsPerApplication: 60 } },
    monitoring: { enabled: true },
    ingress: { namespace: 'edge' },
  };
  const selectors = ['name=postgresql', 'name=devops', 'app=app2'];
  const objects = await objectsWith(JSON.stringify(settings), selectors);
  const memory = 512 + 4 * (9000 - 100);
  assert.equal(limits(objects), ['max_connections=9000', `${memory}Mi`]);
  const [{ max }] = only(objects, 'LimitRange', 'database-limits').spec.limits;
  assert.ok(memory <= Number.parseInt(max.memory, 10), max.memory);
  // Beside it: the Job of its set-up.
  const { hard } = only(objects, 'ResourceQuota', 'database-quota').spec;
  assert.ok(memory + 64 <= Number.parseInt(hard['limits.memory'], 10), hard['limits.memory']);
  const secrets = ofKind(objects, 'Secret').filter(({ stringData = {} }) => 'DB_USER' in stringData);
  assert.equal(secrets, []);
  const { roles } = only(objects, 'Secret', 'postgresql-set-up').stringData;
  assert.not.ok('app2' in JSON.parse(roles).applications);
  const { namespaceSelector } = only(objects, 'PodMonitor', 'traefik').spec;
  assert.equal(namespaceSelector, { matchNames: ['edge'] });
});

test('data is on volumes where pods are real', async () => {
  for (const provider of ['minikube', 'existing'] as const) {
    const { spec } = only(await releaseObjects('postgresql', provider), 'StatefulSet');
    const wanted = provider === 'minikube' ? 'csi-hostpath-sc' : undefined;
    assert.is(spec.volumeClaimTemplates[0].spec.storageClassName, wanted);
  }
});

test('takes third-party charts from upstream, with a pinned version, only where pods are real and there are repositories', async () => {
  const list = async (provider: ProviderName, environment: string) => {
    const found = await helmfileText(provider, environment, ['list', '--output', 'json'], { selectors: [] });
    const all = JSON.parse(found) as { name: string; chart: string; version: string }[];
    return new Map(all.map(({ name, chart, version }) => [name, `${chart} ${version}`.trim()]));
  };
  const [upstream, embedded] = [await list('minikube', 'development'), await list('embedded', 'development')];
  for (const [name, chart] of [
    ['vault', 'hashicorp/vault'],
    ['vault-operator', 'hashicorp/vault-secrets-operator'],
    ['reloader', 'stakater/reloader'],
    ['metrics-server', 'metrics-server/metrics-server'],
  ] as const) {
    assert.match(upstream.get(name) ?? '', new RegExp(`^${chart} \\d+\\.\\d+\\.\\d+$`));
    assert.is(embedded.get(name), './charts/stand-in');
  }
  for (const [name, chart] of await list('existing', 'lab'))
    assert.match(chart, /^(\.\/charts\/|\/.*\/chart$)/, `${name} in environments/lab/settings.yaml`);
});

// YAML reads the others as a number and null.
for (const name of ['staging', '010', 'null'])
  test(`a copied folder is a new environment whose hosts and secrets follow its name, ${name}`, async () => {
    const folder = copyOfReleases();
    await rename(join(folder, 'environments/development'), join(folder, 'environments', name));
    const place = { folder, environment: name };
    const objects = await objectsWith('', ['name=app1-front', 'name=devops'], place);
    const hosts = ofKind(objects, 'Ingress').map(({ spec }) => spec.rules[0].host);
    assert.equal([...new Set(hosts)], [`app1-front.${name}.k8s-deployment.test`]);
    const logins = ofKind(objects, 'Secret').filter(({ type }) => type === 'Opaque');
    for (const { stringData } of logins) assert.ok(stringData.DB_PASSWORD.length >= 16);
  });

for (const [release, value, why] of [
  // Only those of devops and postgresql may be secrets.
  ['app1-back', 'sops://database.yaml#/password', 'may not have a secret as a value'],
  ['app1-back', 'ref+sops://environments/development/secrets/database.yaml#/a', 'has a value with ref+'],
  // It would stay as it is.
  [
    'devops',
    '{{ .Values.database.applications.app2.password }}',
    'has a reference that is not a whole value',
  ],
] as const)
  test(`refuses the value ${value} of ${release}`, async () => {
    const { exitCode, stderr } = await helmfile('embedded', 'development', ['template'], {
      settings: JSON.stringify({ releases: { [release]: { a: { password: value } } } }),
      selectors: [`name=${release}`],
    });
    assert.is(exitCode, 1);
    assert.match(stderr, `release ${release} ${why}`);
  });

// Of IPv4: connections.test.ts.
test('the platform may call all addresses of IPv6 except pods', async () => {
  const objects = await objectsWith('cluster: { podCidr: "fd00::/56" }', ['name=devops']);
  const blocks = ofKind(objects, 'NetworkPolicy').flatMap(({ spec }) =>
    // biome-ignore lint/suspicious/noExplicitAny: rules of a policy
    (spec.egress ?? []).flatMap(({ to = [] }: any) => to.flatMap(({ ipBlock }: any) => ipBlock ?? [])),
  );
  assert.ok(blocks.length > 0);
  for (const block of blocks) assert.equal(block, { cidr: '::/0', except: ['fd00::/56'] });
});

test.run();
