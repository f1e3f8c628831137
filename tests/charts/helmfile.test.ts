import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { declaredReleases } from '../../lib/helm/helmfile.ts';
import { applications, releaseTable } from '../rig/applications.ts';
import {
  copyOfReleases,
  environments,
  helmfile,
  helmfileText,
  isWhole,
  releaseObjects,
  renderEnvironment,
} from './environments.ts';
import { objectsOf, ofKind, only, readYaml } from './render.ts';
import { root, temporaryFolder } from './tools.ts';

const test = suite('helmfile.yaml');

test('declares the releases with namespace, labels, needs and timeout', async () => {
  const declared = await declaredReleases(root);
  const found = declared.map(({ name, namespace, tier, app, needs }) =>
    [name, namespace, tier, app, ...needs].join(' '),
  );
  assert.equal(found, releaseTable, '`releaseTable` in tests/rig/applications.ts');
  const file = (await readYaml('helmfile.yaml')) as {
    releases: { name: string; timeout?: number }[];
    helmDefaults: { atomic: boolean };
  };
  for (const { name, timeout } of file.releases)
    assert.ok((timeout ?? 0) >= 60, `${name}: timeout in helmfile.yaml`);
  assert.is(file.helmDefaults.atomic, true);
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
  for (const app of ['vault', 'metrics-server'])
    await helmfileText('existing', 'development', ['--helm-binary', helm, 'sync'], {
      selectors: [`app=${app}`],
    });
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).split('\n');
  const waits = calls.flatMap((call) => {
    const [, name] = /^upgrade --install (\S+)/.exec(call) ?? [];
    return name === undefined
      ? []
      : [`${name} ${call.split(' ').filter((word) => /^--wait(=|$)/.test(word))}`];
  });
  assert.equal(waits, ['vault --wait', 'vault-operator --wait=legacy', 'metrics-server --wait']);
});

test('upstream charts are given the images of the settings, with digest', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const names = ['vault', 'vaultOperator', 'kubeRbacProxy', 'reloader', 'metricsServer'];
  const images = names.map(
    (name) => `  ${name}: { repository: example.com/${name}, tag: "1", digest: "${digest}" }`,
  );
  const folder = temporaryFolder();
  const words = ['write-values', '--output-file-template', join(folder, '{{ .Release.Name }}.yaml')];
  await helmfileText('existing', 'development', words, {
    settings: ['images:', ...images, ''].join('\n'),
    selectors: ['app=vault', 'app=reloader', 'app=metrics-server'],
  });
  const files = (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8'));
  const found = JSON.stringify((await Promise.all(files)).map((text) => parse(text)));
  for (const name of names) {
    assert.ok(found.includes(`"repository":"example.com/${name}"`), `${name}: ${found}`);
    assert.ok(found.includes(name === 'reloader' ? `"digest":"${digest}"` : `"tag":"1@${digest}"`), name);
  }
});

test('a release that is left out is not rendered, and `installed` is no value of its chart', async () => {
  const settings = 'releases: { app2-back: { installed: false }, app2-front: { installed: true } }';
  const options = { settings, selectors: ['app=app2'] };
  const objects = objectsOf(await helmfileText('embedded', 'development', ['template'], options));
  const found = objects.map(({ metadata }) => metadata.labels?.['app.kubernetes.io/instance']);
  assert.equal([...new Set(found)], ['app2-front']);
});

test('an application whose role is null is rendered without a login or a database of its own', async () => {
  const settings = 'database: { applications: { app2: null } }';
  const options = { settings, selectors: ['app=devops', 'app=postgresql', 'app=app2'] };
  const objects = objectsOf(await helmfileText('embedded', 'development', ['template'], options));
  const secrets = ofKind(objects, 'Secret').filter(({ stringData = {} }) => 'DB_USER' in stringData);
  assert.equal(secrets, []);
  const { roles } = only(objects, 'Secret', 'postgresql-set-up').stringData;
  assert.equal(Object.keys(JSON.parse(roles).applications), ['app1']);
});

/** Those without charts from a repository. */
const whole = environments.filter(([provider, name]) => isWhole(provider, name));

for (const [provider, environment] of whole) {
  test(`renders all releases of ${environment} on ${provider}, each with objects in its namespace`, async () => {
    const rendered = await renderEnvironment(provider, environment);
    assert.equal([...rendered.keys()].sort(), releaseTable.map((line) => line.split(' ')[0] ?? '').sort());
    for (const line of releaseTable) {
      const [release = '', namespace] = line.split(' ');
      const objects = await releaseObjects(release, provider, environment);
      assert.ok(objects.length > 0, release);
      if (release === 'devops' || environment === 'lab') continue;
      for (const { kind, metadata } of objects.filter((object) => object.kind !== 'ClusterRoleBinding'))
        assert.is(metadata.namespace, namespace, `${kind} ${metadata.name}`);
    }
  });
}

for (const [provider, environment] of [...whole, ['existing', 'production'] as const]) {
  test(`helm lint --strict: no warning with the values of ${environment} on ${provider}`, async () => {
    const { exitCode, stdout, stderr } = await helmfile(provider, environment, [
      ...['lint', '--args', '--strict'],
    ]);
    const said = `${stdout}${stderr}`;
    assert.is(exitCode, 0, said);
    const linted = [...said.matchAll(/1 chart\(s\) linted, 0 chart\(s\) failed/g)];
    assert.is(
      linted.length,
      isWhole(provider, environment) ? releaseTable.length : 2 + 2 * applications.length,
      said,
    );
  });
}

test('values of a chart hold for each of its releases, whose own values win', async () => {
  const text = await helmfileText('embedded', 'development', ['template'], {
    settings:
      'releases: { backend: { drainSeconds: 7 }, app1-back: { drainSeconds: 9, autoRollback: false } }',
    selectors: ['name=app1-back', 'name=app2-back'],
  });
  const objects = objectsOf(text);
  const drain = (app: string) =>
    only(objects, 'Deployment', `${app}-back`).spec.template.spec.containers[0].lifecycle.preStop.sleep
      .seconds;
  assert.equal([drain('app1'), drain('app2')], [9, 7]);
  const hooks = ofKind(objects, 'Job').map(({ metadata }) => [
    metadata.name,
    metadata.annotations?.['helm.sh/hook'],
  ]);
  assert.equal(hooks.sort(), [
    ['app1-back-verification', 'test'],
    ['app2-back-verification', 'test,post-install,post-upgrade'],
  ]);
});

test('a backend waits for the longest request of its front', async () => {
  const text = await helmfileText('embedded', 'development', ['template'], {
    settings:
      'releases: { frontend: { backend: { timeoutSeconds: 50 } }, app1-front: { backend: { timeoutSeconds: 70 } } }',
    selectors: ['tier=apps'],
  });
  const pods = ofKind(objectsOf(text), 'Deployment').map(({ metadata, spec }) => [
    metadata.name,
    spec.template.spec.terminationGracePeriodSeconds,
  ]);
  const [app1, app2] = [5 + 5 + 70, 5 + 5 + 50];
  assert.equal(pods.sort(), [
    ['app1-back', app1],
    ['app1-front', app1],
    ['app2-back', app2],
    ['app2-front', app2],
  ]);
});

test('PostgreSQL gets 4 MiB more for each of its sessions', async () => {
  const limits = async (settings: string) => {
    const text = await helmfileText('embedded', 'development', ['template'], {
      settings,
      selectors: ['name=postgresql'],
    });
    const [{ args, resources }] = only(objectsOf(text), 'StatefulSet').spec.template.spec.containers;
    return [(args as string[]).find((word) => word.startsWith('max_connections=')), resources.limits.memory];
  };
  assert.equal(await limits('{}'), ['max_connections=100', '512Mi']);
  assert.equal(await limits('releases: { postgresql: { connectionsPerApplication: 60 } }'), [
    'max_connections=200',
    '912Mi',
  ]);
});

test("Traefik's metrics are read in its namespace", async () => {
  const text = await helmfileText('embedded', 'development', ['template'], {
    settings: 'monitoring: { enabled: true }\ningress: { namespace: edge }',
    selectors: ['name=devops'],
  });
  assert.equal(only(objectsOf(text), 'PodMonitor', 'traefik').spec.namespaceSelector, {
    matchNames: ['edge'],
  });
});

test("the quota and limits of PostgreSQL's namespace grow with its sessions", async () => {
  const applications = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`app${index}`, null]));
  const settings = {
    database: { applications },
    releases: { postgresql: { connectionsPerApplication: 60 } },
  };
  const text = await helmfileText('embedded', 'development', ['template'], {
    settings: JSON.stringify(settings),
    selectors: ['name=postgresql', 'name=devops'],
  });
  const objects = objectsOf(text);
  const [server] = only(objects, 'StatefulSet').spec.template.spec.containers;
  const [{ max }] = only(objects, 'LimitRange', 'database-limits').spec.limits;
  const { hard } = only(objects, 'ResourceQuota', 'database-quota').spec;
  const mebibytes = (quantity: string) => Number(/^(\d+)Mi$/.exec(quantity)?.[1]);
  const limit = mebibytes(server.resources.limits.memory);
  assert.ok(limit > 8192);
  assert.ok(limit <= mebibytes(max.memory), max.memory);
  // beside it: the Job of its set-up
  assert.ok(limit + 64 <= mebibytes(hard['limits.memory']), hard['limits.memory']);
});

test('data is on volumes where pods are real', async () => {
  for (const provider of ['minikube', 'existing'] as const) {
    const server = only(await releaseObjects('postgresql', provider), 'StatefulSet');
    const claim = server.spec.volumeClaimTemplates[0].spec;
    assert.is(claim.storageClassName, provider === 'minikube' ? 'csi-hostpath-sc' : undefined);
  }
});

test('takes third-party charts from upstream, with a pinned version, only where pods are real and there are repositories', async () => {
  const list = async (provider: ProviderName, environment: string) => {
    const words = ['list', '--output', 'json'];
    const found = await helmfileText(provider, environment, words, { selectors: [] });
    const all = JSON.parse(found) as { name: string; chart: string; version: string }[];
    return new Map(all.map(({ name, chart, version }) => [name, `${chart} ${version}`.trim()]));
  };
  const upstream = await list('minikube', 'development');
  const embedded = await list('embedded', 'development');
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
    assert.match(
      chart,
      /^(\.\/charts\/|\/.*\/chart$)/,
      `charts of ${name} in environments/lab/settings.yaml: ${chart}`,
    );
});

// YAML reads the others as a number and null.
for (const name of ['staging', '010', 'null']) {
  test(`a copied folder is a new environment whose hosts and secrets follow its name, ${name}`, async () => {
    const folder = await copyOfReleases();
    await rename(join(folder, 'environments/development'), join(folder, 'environments', name));
    const selectors = ['name=app1-front', 'name=devops'];
    const objects = objectsOf(await helmfileText('embedded', name, ['template'], { folder, selectors }));
    const hosts = ofKind(objects, 'Ingress').map(({ spec }) => spec.rules[0].host);
    assert.equal([...new Set(hosts)], [`app1-front.${name}.k8s-deployment.test`]);
    const logins = ofKind(objects, 'Secret').filter(({ type }) => type === 'Opaque');
    for (const { stringData } of logins) assert.ok(stringData.DB_PASSWORD.length >= 16);
  });
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
    "releases: {devops: {databaseSecrets: {a: {namespace: backend, host: a, port: 1, name: a, user: a, password: '{{ .Values.database.applications.app2.password }}'}}}}",
    'release devops has a reference that is not a whole value',
  ],
] as const) {
  test(`refuses ${title}`, async () => {
    const ended = await helmfile('embedded', 'development', ['template'], {
      settings,
      selectors: [`name=${release}`],
    });
    assert.is.not(ended.exitCode, 0);
    assert.match(ended.stderr, message);
  });
}

test('the platform may call all addresses of the pods’ family except pods and those of the node', async () => {
  for (const [podCidr, all, ...more] of [
    ['10.244.0.0/16', '0.0.0.0/0', '169.254.0.0/16'],
    ['fd00:10:244::/56', '::/0'],
  ]) {
    const text = await helmfileText('embedded', 'development', ['template'], {
      settings: `cluster: { podCidr: "${podCidr}" }`,
      selectors: ['name=devops'],
    });
    const policies = ofKind(objectsOf(text), 'NetworkPolicy');
    const blocks = policies.flatMap(({ spec }) =>
      // biome-ignore lint/suspicious/noExplicitAny: rules of a policy
      (spec.egress ?? []).flatMap(({ to = [] }: any) => to.flatMap(({ ipBlock }: any) => ipBlock ?? [])),
    );
    assert.ok(blocks.length > 0);
    for (const block of blocks) assert.equal(block, { cidr: all, except: [podCidr, ...more] });
  }
});

test.run();
