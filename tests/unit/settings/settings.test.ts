import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { allSecretFiles } from '../../../lib/secrets/encrypted-file.ts';
import {
  checkEnvironment,
  environmentNames,
  loadSettings,
  settingsFiles,
} from '../../../lib/settings/settings.ts';
import { leftovers } from '../../rig/leftovers.ts';
import { copyEnvironments, type ProjectCopy } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

/** The functions of the room, for the folder of the test. */
const libIn = (folder: string) => ({
  loadSettings: (environment: string, provider: ProviderName) => loadSettings(environment, provider, folder),
  settingsFiles: (environment: string, provider: ProviderName) =>
    settingsFiles(environment, provider, folder),
  environmentNames: () => environmentNames(folder),
  checkEnvironment: (name: string, enough?: 'folder' | 'made') => checkEnvironment(name, enough, folder),
  allSecretFiles: () => allSecretFiles(folder),
});

type State = {
  clone: ProjectCopy;
  lib: ReturnType<typeof libIn>;
  write: (path: string, text: string) => void;
};

const test = suite<State>('settings');

test.before((state) => {
  state.clone = copyEnvironments();
  state.lib = libIn(state.clone.folder);
  state.write = (path, text) => {
    mkdirSync(join(state.clone.folder, path, '..'), { recursive: true });
    writeFileSync(join(state.clone.folder, path), text);
  };
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('the defaults are those of the specification', async ({ lib }) => {
  const { cluster, ingress, vault } = await lib.loadSettings('development', 'minikube');
  assert.is(cluster.kubernetesVersion, 'v1.31.0');
  assert.equal([cluster.nodes, cluster.cpus, cluster.memoryMB], [3, 2, 3072]);
  assert.is(cluster.cni, 'calico');
  assert.equal(cluster.addons, ['volumesnapshots', 'csi-hostpath-driver']);
  assert.is(ingress.controller, 'traefik');
  assert.is(vault.address, 'http://vault.vault.svc.cluster.local:8200');
});

test('layers: common, provider, the environment’s files by name, and what the embedded cluster wrote', async ({
  lib,
  write,
}) => {
  write('environments/development/zones.yaml', 'domain: zones.test\n');
  assert.equal(await lib.settingsFiles('development', 'embedded'), [
    'environments/common.yaml',
    'environments/embedded.yaml',
    'environments/development/settings.yaml',
    'environments/development/zones.yaml',
    '.state/development/cluster.yaml',
  ]);
  const minikube = await lib.settingsFiles('development', 'minikube');
  assert.is(minikube[1], 'environments/minikube.yaml');
  assert.is(minikube.at(-1), 'environments/development/zones.yaml');
});

test('leftovers of editors and systems do not count as settings, secrets files or environments', async ({
  clone,
  lib,
  write,
}) => {
  const before = [await lib.settingsFiles('development', 'minikube'), await lib.environmentNames()];
  const secrets = await lib.allSecretFiles();
  for (const folder of ['environments', 'environments/development', 'environments/development/secrets']) {
    for (const name of leftovers('database.yaml')) write(`${folder}/${name}`, '\0 not YAML: [');
    symlinkSync('somebody@somewhere.1234:1', join(clone.folder, folder, '.#settings.yaml'));
  }
  write('environments/.idea/workspace.xml', '');
  const after = [await lib.settingsFiles('development', 'minikube'), await lib.environmentNames()];
  assert.equal(after, before);
  assert.equal(await lib.allSecretFiles(), secrets);
  await lib.loadSettings('development', 'minikube');
});

test('a file of settings or secrets whose name almost ends in .yaml is refused: it would have no effect', async ({
  clone,
  lib,
  write,
}) => {
  for (const [file, right] of [
    ['environments/minikube.yml', 'minikube.yaml'],
    ['environments/development/extra.yml', 'extra.yaml'],
    ['environments/development/Extra.YAML', 'Extra.yaml'],
  ] as const) {
    write(file, 'domain: zones.test\n');
    const error = await failureOf(lib.loadSettings('development', 'minikube'));
    assert.equal([error.what, error.advice], [`${file} would have no effect`, `rename it to ${right}`]);
    clone.reset();
  }
  write('environments/development/secrets/extra.yml', 'password: x\n');
  const error = await failureOf(lib.allSecretFiles());
  assert.is(error.what, 'environments/development/secrets/extra.yml would have no effect');
});

test('a name that helmfile takes for a pattern is refused for a file of settings', async ({
  clone,
  lib,
  write,
}) => {
  for (const name of ['[x].yaml', 'a[.yaml', 'zz*.yaml', 'q?.yaml', 'c\\d.yaml']) {
    write(`environments/development/${name}`, 'domain: zones.test\n');
    const error = await failureOf(lib.loadSettings('development', 'minikube'));
    assert.is(error.what, `environments/development/${name} cannot be the name of a settings file`);
    assert.match(error.why ?? '', 'helmfile');
    assert.match(error.advice ?? '', 'rename it');
    clone.reset();
  }
  for (const name of ['a].yaml', '{a,b}.yaml', '{{x}}.yaml', 'a b.yaml', 'x@y.yaml', 'ü.yaml'])
    write(`environments/development/${name}`, 'domain: zones.test\n');
  assert.is((await lib.loadSettings('development', 'minikube')).domain, 'zones.test');
});

test('a later layer wins: maps merge, lists and scalars are replaced', async ({ lib, write }) => {
  write(
    'environments/development/zones.yaml',
    'domain: zones.test\ncluster: { nodes: 1, addons: [ingress] }\n',
  );
  write('.state/development/cluster.yaml', 'vault: { address: "http://127.0.0.1:1" }\n');
  const settings = await lib.loadSettings('development', 'minikube');
  assert.is(settings.domain, 'zones.test');
  assert.equal([settings.cluster.nodes, settings.cluster.cpus], [1, 2]);
  assert.equal(settings.cluster.addons, ['ingress']);
  assert.is(settings.vault.address, 'http://vault.vault.svc.cluster.local:8200');
  const embedded = await lib.loadSettings('development', 'embedded');
  assert.is(embedded.vault.address, 'http://127.0.0.1:1');
});

test('an environment is a folder; a copied one has the settings of the first', async ({ lib, write }) => {
  write('environments/staging/settings.yaml', 'cluster: { nodes: 5 }\n');
  const names = await lib.environmentNames();
  assert.ok(names.includes('development') && names.includes('staging'));
  await lib.checkEnvironment('staging');
  assert.is((await lib.loadSettings('staging', 'existing')).cluster.nodes, 5);
});

test('a link to a folder is an environment like any other; one that leads nowhere is none', async ({
  clone,
  lib,
  write,
}) => {
  write('elsewhere/settings.yaml', 'cluster: { nodes: 5 }\n');
  write('elsewhere/secrets/database.yaml', 'password: x\n');
  for (const [name, target] of [
    ['staging', '../elsewhere'],
    ['gone', '../nowhere'],
    ['file', 'common.yaml'],
    ['loop', 'loop'],
    ['.hidden', '../elsewhere'],
  ] as const)
    symlinkSync(target, join(clone.folder, 'environments', name));
  const names = await lib.environmentNames();
  assert.equal(names, ['development', 'lab', 'production', 'staging']);
  await lib.checkEnvironment('staging');
  assert.is((await lib.loadSettings('staging', 'existing')).cluster.nodes, 5);
  assert.match((await failureOf(lib.checkEnvironment('gone'))).what, 'unknown environment');
});

test('the state of an environment may be elsewhere, behind a link', async ({ clone, lib, write }) => {
  write('elsewhere/environment.json', '{}');
  mkdirSync(join(clone.folder, '.state'));
  symlinkSync('../elsewhere', join(clone.folder, '.state', 'staging'));
  await lib.checkEnvironment('staging', 'made');
});

test('an unknown environment is a usage error that lists the existing ones', async ({ lib }) => {
  const error = await failureOf(lib.checkEnvironment('developmnet'));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown environment `developmnet`');
  assert.match(error.why ?? '', /^environments\/ has .*`development`/);
  assert.match(error.advice ?? '', /did you mean `development`/i);
});

test('a name that is not a DNS label, or too long, is reported with the rule', async ({ lib, write }) => {
  for (const name of ['with blank', '-x', 'x-', 'Bad_Name', 'a.b', '', 'a'.repeat(51)]) {
    if (name !== '') write(`environments/${name}/settings.yaml`, '');
    const error = await failureOf(lib.checkEnvironment(name));
    assert.is(error.exitCode, 2, name);
    assert.is(error.what, `\`${name}\` cannot be the name of an environment`);
    assert.match(error.why ?? '', /at most 50 of a-z, 0-9 and `-`/);
  }
  for (const name of ['x', '0-1', 'a'.repeat(50)]) {
    write(`environments/${name}/settings.yaml`, '');
    await lib.checkEnvironment(name);
  }
});

test('tasks that remove an environment do not need its folder; others report that it is missing', async ({
  lib,
  write,
}) => {
  write('.state/staging/environment.json', '{}');
  await lib.checkEnvironment('staging', 'made');
  const error = await failureOf(lib.checkEnvironment('staging'));
  assert.is(error.what, 'unknown environment `staging`');
  assert.match(error.advice ?? '', /`npx .* destroy-environment --env staging`/);
  write('.state/a b/environment.json', '{}');
  const odd = await failureOf(lib.checkEnvironment('a b'));
  assert.match(odd.advice ?? '', "destroy-environment --env 'a b'`");
  assert.is((await lib.loadSettings('staging', 'embedded')).cluster.nodes, 3);
  for (const name of ['nowhere', '..', '../environments', 'staging/..'])
    assert.is((await failureOf(lib.checkEnvironment(name, 'made'))).exitCode, 2, name);
});

test('a misspelt setting is named, with the one that was meant', async ({ lib, write }) => {
  const unknown = async (text: string): Promise<string[]> => {
    write('environments/development/zones.yaml', text);
    const { what, advice } = await failureOf(lib.loadSettings('development', 'embedded'));
    return [what, advice ?? ''];
  };
  const file = 'environments/development/zones.yaml';
  const [what, advice] = await unknown('cluster: { kubernetesVerison: v1.31.0 }\n');
  assert.is(what, `${file}:1 has an unknown setting \`cluster.kubernetesVerison\``);
  assert.match(advice ?? '', /kubernetesVersion/);
  assert.match((await unknown('relases: {}\n'))[0] ?? '', /`relases`/);
  assert.match((await unknown('releases: { app1-bakc: {} }\n'))[0] ?? '', /`releases.app1-bakc`/);
  assert.match((await unknown('charts: { vault: { chrat: x } }\n'))[0] ?? '', /`charts.vault.chrat`/);
  // Not the setting that is missing because of it.
  assert.match((await unknown('images: { new: { tga: x } }\n'))[0] ?? '', /`images.new`/);
  const role = 'database: { applications: { app3: { pasword: sops://x.yaml#/y } } }\n';
  assert.match((await unknown(role))[0] ?? '', /`database.applications.app3.pasword`/);
  // What a chart takes its own schema says, when the release is rendered.
  write(file, 'charts: { vault: { values: { a: 1 } } }\nreleases: { app1-back: { b: 1 } }\n');
  await lib.loadSettings('development', 'embedded');
});

test('damaged settings name their file, and nothing is changed', async ({ lib, write }) => {
  write('environments/development/settings.yaml', 'cluster: [\n');
  const damaged = await failureOf(lib.loadSettings('development', 'embedded'));
  assert.is(damaged.what, 'environments/development/settings.yaml:2 is not valid YAML');
  assert.is(damaged.exitCode, 1);
  write('environments/development/settings.yaml', '- a list\n');
  const list = await failureOf(lib.loadSettings('development', 'embedded'));
  assert.is(list.what, 'environments/development/settings.yaml holds no map');
});

for (const [yaml, message] of [
  ['domain: "Not A Name"', '`domain` of environment `development` to be a DNS name, got `"Not A Name"`'],
  [
    'cluster: { kubernetesVersion: 1.31 }',
    '`cluster.kubernetesVersion` of environment `development` to be a version such as `v1.31.0`, got `1.31`',
  ],
  [
    'cluster: { nodes: 0 }',
    '`cluster.nodes` of environment `development` to be a whole number from 1 up, got `0`',
  ],
  [
    'ingress: { controller: haproxy }',
    '`ingress.controller` of environment `development` to be `traefik`, `nginx` or `none`, got `"haproxy"`',
  ],
] as const) {
  test(`a wrong value is reported with its rule: ${yaml}`, async ({ lib, write }) => {
    write('environments/development/settings.yaml', `${yaml}\n`);
    const error = await failureOf(lib.loadSettings('development', 'embedded'));
    assert.is(error.what, `Expected setting ${message}`);
    assert.is(error.advice, 'correct it in environments/development/settings.yaml:1');
  });
}

test('the range of pods on minikube is the one that its networks have; a network from a file may have another', async ({
  lib,
  write,
}) => {
  const load = (cluster: string) => {
    write('environments/development/zz.yaml', `cluster: { ${cluster} }\n`);
    return lib.loadSettings('development', 'minikube');
  };
  const error = await failureOf(load('podCidr: 10.100.0.0/16'));
  assert.match(error.what, 'to be 10.244.0.0/16, which minikube gives to its network `calico`');
  await load('podCidr: 10.100.0.0/16, cni: ./network.yaml');
});

for (const [path, good, bad] of [
  ['cluster.cni', ['calico', '/etc/cni.yaml'], ['', '-x', 5]],
  [
    'cluster.podCidr',
    ['10.244.0.0/16', '100.64.0.0/10', 'fd00::/48', 'fd00:10:244::/56'],
    [
      ...[
        'foo',
        '10.244.0.0',
        '10.0.0.0/99',
        5,
        '10.244.0.1/16',
        '0.0.0.0/0',
        '::/0',
        '010.0.0.0/8',
        'fd00::1/48',
      ],
      ...['10.244.0.0/16,10.0.0.0/8', '10.244.0.0/016', 'fe80::%eth0/64', ':::/64', '10.244.0.0/16 '],
    ],
  ],
  ['cluster.driver', ['docker', 'kvm2'], ['', '--foo', 5]],
  ['cluster.containerRuntime', ['', 'containerd', 'cri-o'], ['bogus', '--foo']],
  ['cluster.baseImage', ['', 'mirror.test:5000/kicbase:v0.0.50'], ['--foo', 'a b']],
  [
    'cluster.startArguments',
    [[], ['--preload=false', '--registry-mirror=https://mirror.test']],
    [['-p'], ['--profile=x'], ['--nodes=7'], ['--dry-run'], ['--help'], ['foo'], [''], 'x'],
  ],
  ['cluster.addons', [[], ['ingress']], [['-x'], ['a b'], ['ingress', 'ingress']]],
  ['cluster.storageClass', ['', 'csi-hostpath-sc'], ['A b', 3]],
  ['cluster.context', ['', 'arn:aws:eks:x'], [5]],
  ['images.backend.tag', ['1.2.0'], ['a b', '-x', 15]],
  ['images.backend.digest', ['', `sha256:${'a'.repeat(64)}`], ['latest', 15]],
  ['images.backend.build', ['', 'docker/..x'], ['/docker', '../docker', 'docker/..', ['docker']]],
  ['images.backend.repository', ['docker.io/traefik/whoami', 'host:5000/a'], ['UPPER/case', 'a:tag', '--x']],
  ['buildArguments', [{ BASE_IMAGE: 'x' }], [{ NODE: 22 }, { 'A B': 'x' }, { 'A=B': 'x' }, { '': 'x' }]],
] as const) {
  test(`${path} accepts what minikube and Docker accept; other values are refused with their place`, async ({
    lib,
    write,
  }) => {
    const load = (value: unknown) => {
      const settings = path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
      write('environments/development/zz.yaml', JSON.stringify(settings));
      return lib.loadSettings('development', 'existing');
    };
    for (const value of good) await load(value);
    for (const value of bad)
      assert.match(
        (await failureOf(load(value))).what,
        // Of a list or a map: the entry.
        `Expected setting \`${path}`,
        JSON.stringify(value),
      );
  });
}

test.run();
