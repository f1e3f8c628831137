import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { allSecretFiles } from '../../../lib/secrets/encrypted-file.ts';
import { checkEnvironment } from '../../../lib/settings/provider-choice.ts';
import {
  environmentNames,
  loadSettings,
  mergeLayers,
  settingsFiles,
} from '../../../lib/settings/settings.ts';
import { copyOf, leftovers } from '../../rig/project-copy.ts';
import { fails } from '../../rig/task-context.ts';

const clone = copyOf('environments');
const { folder } = clone;

const load = (environment: string, provider: ProviderName) =>
  loadSettings({ name: environment, provider, root: folder });
const files = (provider: ProviderName) => settingsFiles('development', provider, folder);
const check = (name: string, enough: 'folder' | 'made' = 'folder') => checkEnvironment(name, enough, folder);
const write = (path: string, text: string): void => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
};
/** A layer above those of the project. */
const extra = 'environments/development/zones.yaml';
const refused = (text: string, fields: Parameters<typeof fails>[1]) => {
  write(extra, text);
  return fails(load('development', 'minikube'), fields);
};

test.after.each(clone.reset);

test('layers: common, provider, the environment’s files by name, and what the embedded cluster wrote; a later one wins', async () => {
  write(extra, 'domain: zones.test\ncluster: { nodes: 1, addons: [ingress] }\n');
  write('.state/development/cluster.yaml', 'vault: { address: "https://127.0.0.1:1" }\n');
  const own = ['environments/development/settings.yaml', extra];
  const [common, written] = ['environments/common.yaml', '.state/development/cluster.yaml'];
  assert.equal(await files('embedded'), [common, 'environments/embedded.yaml', ...own, written]);
  assert.equal(await files('minikube'), [common, 'environments/minikube.yaml', ...own]);
  // Maps merge, lists and scalars are replaced.
  const { domain, cluster, vault } = await load('development', 'minikube');
  assert.equal([domain, cluster.nodes, cluster.cpus, cluster.addons], ['zones.test', 1, 2, ['ingress']]);
  assert.is(vault.address, 'https://vault.vault.svc.cluster.local:8200');
  assert.is((await load('development', 'embedded')).vault.address, 'https://127.0.0.1:1');
});

test('a damaged file that a task wrote is to be deleted, not edited', async () => {
  write('.state/development/cluster.yaml', 'a: [');
  await fails(load('development', 'embedded'), { advice: /^delete the file; .*create-k8s/ });
});

test('an environment includes files of environments/cloud, in a layer below its own', async () => {
  write('environments/cloud/own.yaml', 'domain: cloud.test\ncluster: { nodes: 7, cpus: 7 }\n');
  write(extra, 'include: [cloud/own.yaml]\ncluster: { cpus: 8 }\n');
  const found = await files('minikube');
  assert.equal(found.slice(1, 4), [
    'environments/minikube.yaml',
    'environments/cloud/own.yaml',
    'environments/development/settings.yaml',
  ]);
  const { domain, cluster } = await load('development', 'minikube');
  assert.equal([domain, cluster.nodes, cluster.cpus], ['cloud.test', 7, 8]);
  assert.not.ok((await environmentNames(folder)).includes('cloud'));
  for (const [text, what] of [
    ['include: [cloud/none.yaml]', /^environments\/cloud\/none\.yaml does not exist$/],
    ['include: [../x.yaml]', /`include.0` .* to be a file of environments\/cloud/],
    ['include: cloud/own.yaml', /expected setting `include` .* to be a list of different texts/],
  ] as const)
    await refused(text, { what });
  write('environments/cloud/own.yaml', 'include: [cloud/eks.yaml]\n');
  const what = 'environments/cloud/own.yaml:1 has the setting `include`';
  await refused('include: [cloud/own.yaml]', { what });
});

test('leftovers of editors and systems do not count as settings, secrets files or environments', async () => {
  const seen = () => Promise.all([files('minikube'), environmentNames(folder), allSecretFiles(folder)]);
  const before = await seen();
  for (const below of ['environments', 'environments/development', 'environments/development/secrets']) {
    for (const name of leftovers('database.yaml')) write(`${below}/${name}`, '\0 not YAML: [');
    symlinkSync('somebody@somewhere.1234:1', join(folder, below, '.#settings.yaml'));
  }
  write('environments/.idea/workspace.xml', '');
  assert.equal(await seen(), before);
  await load('development', 'minikube');
});

test('a file of settings or secrets whose name almost ends in .yaml is refused: it would have no effect', async () => {
  for (const file of ['environments/minikube.yml', 'environments/development/Extra.YAML']) {
    write(file, 'domain: zones.test\n');
    await fails(load('development', 'minikube'), { what: `${file} would have no effect` });
    clone.reset();
  }
  const secrets = 'environments/development/secrets/extra.yml';
  write(secrets, 'password: x\n');
  await fails(allSecretFiles(folder), { what: `${secrets} would have no effect` });
});

test('a name that helmfile takes for a pattern is refused for a file of settings', async () => {
  for (const name of ['[x].yaml', 'a[.yaml', 'zz*.yaml', 'q?.yaml', 'c\\d.yaml']) {
    write(`environments/development/${name}`, 'domain: zones.test\n');
    const what = `environments/development/${name} cannot be the name of a settings file`;
    await fails(load('development', 'minikube'), { what, why: /helmfile/, advice: /rename it/ });
    clone.reset();
  }
  for (const name of ['a].yaml', '{a,b}.yaml', '{{x}}.yaml', 'a b.yaml', 'x@y.yaml', 'ü.yaml'])
    write(`environments/development/${name}`, 'domain: zones.test\n');
  assert.is((await load('development', 'minikube')).domain, 'zones.test');
});

test('an environment is a folder, or a link to one; a broken link, a file and a hidden folder are none', async () => {
  write('environments/copied/settings.yaml', 'cluster: { nodes: 4 }\n');
  write('elsewhere/settings.yaml', 'cluster: { nodes: 5 }\n');
  const links = { staging: '../elsewhere', gone: '../nowhere', file: 'common.yaml', loop: 'loop' };
  for (const [name, target] of Object.entries({ ...links, '.hidden': '../elsewhere' }))
    symlinkSync(target, join(folder, 'environments', name));
  assert.equal(await environmentNames(folder), ['copied', 'development', 'lab', 'production', 'staging']);
  for (const [name, nodes] of Object.entries({ copied: 4, staging: 5 })) {
    await check(name);
    assert.is((await load(name, 'existing')).cluster.nodes, nodes);
  }
  await fails(check('gone'), { what: /unknown environment/ });
  await fails(check('developmnet'), {
    ...{ what: 'unknown environment `developmnet`', why: /^environments\/ has .*`development`/ },
    ...{ advice: /did you mean `development`/i, exitCode: 2 },
  });
});

test('a name that is not a DNS label, or too long, is reported with the rule', async () => {
  for (const name of ['with blank', '-x', 'x-', 'Bad_Name', 'a.b', '', 'a'.repeat(51)]) {
    if (name !== '') write(`environments/${name}/settings.yaml`, '');
    await fails(check(name), {
      ...{ what: `\`${name}\` cannot be the name of an environment`, exitCode: 2 },
      why: /at most 50 of a-z, 0-9 and `-`/,
      advice: name === '' ? /^use one of .*development, .*lab/ : /rename its folder/,
    });
  }
  for (const name of ['x', '0-1', 'a'.repeat(50)]) {
    write(`environments/${name}/settings.yaml`, '');
    await check(name);
  }
});

test('tasks that remove an environment do not need its folder; others report that it is missing', async () => {
  // Its state may be elsewhere, behind a link.
  write('elsewhere/environment.json', '{}');
  mkdirSync(join(folder, '.state'));
  symlinkSync('../elsewhere', join(folder, '.state', 'linked'));
  await check('linked', 'made');
  write('.state/a b/environment.json', '{}');
  await fails(check('a b'), { advice: /destroy-environment`/ });
  assert.is((await load('staging', 'embedded')).cluster.nodes, 3);
  for (const name of ['nowhere', '..', '../environments', 'staging/..'])
    await fails(check(name, 'made'), { exitCode: 2 });
});

test('a misspelt setting is reported with the intended one, damaged settings with file and line', async () => {
  for (const [text, what] of [
    ['cluster: [\n', `${extra}:2 is not valid YAML`],
    ['images:\n  backend: { tag: 1.10 }\n', `${extra}:2: \`1.10\` is the number 1.1`],
    ['- a list\n', `${extra} is not a map`],
  ] as const)
    await refused(text, { what, exitCode: 1 });
  for (const [text, name, advice = /./] of [
    ['cluster: { kubernetesVerison: v1 }', 'cluster.kubernetesVerison', /^Did you mean `kubernetesVersion/],
    ['relases: {}', 'relases'],
    ['releases: { app1-bakc: {} }', 'releases.app1-bakc'],
    ['charts: { vault: { chrat: x } }', 'charts.vault.chrat'],
    // Not the setting that is missing because of it.
    ['images: { new: { tga: x } }', 'images.new'],
    ['database: { applications: { unused: { pasword: a } } }', 'database.applications.unused.pasword'],
  ] as [string, string, RegExp?][])
    await refused(text, { what: new RegExp(`^${extra}:1 has an unknown setting \`${name}`), advice });
  // What a chart takes its own schema says, when the release is rendered.
  write(extra, 'charts: { vault: { values: { a: 1 } } }\nreleases: { app1-back: { b: 1 } }\n');
  await load('development', 'embedded');
});

test('minikube’s pod range must match its networks; one from a file may have another, and an issuer certify Vault', async () => {
  const what = /to be 10\.244\.0\.0\/16, which minikube gives to its network `calico`/;
  await refused('cluster: { podCidr: 10.100.0.0/16 }', { what });
  const issuer = 'vault: { tls: { clusterIssuer: internal } }';
  write(extra, `cluster: { podCidr: 10.100.0.0/16, cni: ./network.yaml }\n${issuer}\n`);
  await load('development', 'minikube');
});

const common = { images: { a: { repository: 'r', tag: '1', digest: 'one' } } };
test('a layer that names another repository or tag without a digest does not inherit one', () => {
  for (const [given, digest] of [
    [[{ tag: '2' }], ''],
    [[{ repository: 's' }], ''],
    [[{ repository: 'r', tag: '1' }], 'one'],
    [[{ build: 'docker/a' }], 'one'],
    [[{ tag: '2', digest: 'two' }], 'two'],
    // A mirror has the same content.
    [[{ repository: 's', digest: 'one' }], 'one'],
    [[{ tag: '2', digest: 'two' }, { tag: '3' }], ''],
    [[{ tag: '2' }, { digest: 'two' }], 'two'],
    [[{ tag: '2' }, { tag: '1' }], ''],
  ] as const) {
    const { images } = mergeLayers([common, ...given.map((a) => ({ images: { a } }))]);
    assert.equal(Object(images).a.digest, digest, JSON.stringify(given));
  }
});

test.run();
