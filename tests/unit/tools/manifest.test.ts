import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkTools } from '../../../lib/tools/check-tools.ts';
import { goModules, loadManifest, testTools, toolNames } from '../../../lib/tools/manifest.ts';
import { nixPackagesFile, system, whyNoPrebuilt } from '../../../lib/tools/prebuilt.ts';
import { lockFile, pinIn, pinnedPlatforms } from '../../../lib/tools/release.ts';
import { missingPins, releasedTools } from '../../../lib/tools/update-pins.ts';
import { fails } from '../../rig/task-context.ts';
import { builtTool, entryOf, inPlace, type Place } from './tool-fixture.ts';

const { tools } = await loadManifest();
const readGo = (module: string, name: string) => readFileSync(join(goModules, module, name), 'utf8');

test('the names in the code are those of the manifest, in its order', () => {
  assert.equal(Object.keys(tools), [...toolNames]);
  // Tools of the tests are the last in the order of the builds: nothing waits for them.
  assert.equal(toolNames.slice(-testTools.length), [...testTools]);
});

test('every Go module requires the very version that the manifest pins', () => {
  for (const { name, version, go } of Object.values(tools)) {
    // Files of other modules are of versions that its build finds in go.mod and go.sum.
    if (go === undefined || go.files !== undefined) continue;
    const [, module, required] = /^require (\S+) (\S+)$/m.exec(readGo(go.module, 'go.mod')) ?? [];
    assert.is(required, `v${version}`, name);
    // A package of the required module, or a main package of our own that imports it.
    const ours = [`${module}/`, `k8s-deployment/tools/${go.module}/`];
    assert.ok(ours.find((of) => `${go.package}/`.startsWith(of)) !== undefined, name);
    assert.match(readGo(go.module, 'go.sum'), `${module} ${required} h1:`, name);
    if (go.ldflags !== undefined) assert.ok(go.ldflags.includes(String(version)), name);
  }
});

test('the lockfile of mise pins the versions and packages of the manifest', () => {
  const lock = readFileSync(lockFile, 'utf8');
  const pinned = [...lock.matchAll(/^\[\[tools\.(.+)\]\]\nversion = "(.+)"\nbackend = "(.+)"$/gm)];
  assert.ok(pinned.length > 0);
  for (const [, name = '', version, backend] of pinned) {
    const entry = Object.values(tools).find((tool) => tool.name === name);
    assert.equal([version, backend], [entry?.version, entry?.release?.package.replace(/\[.*/, '')], name);
    const urls = Object.keys(pinnedPlatforms).map((platform) => pinIn(lock, name, platform)?.url);
    assert.ok(
      urls.some((url) => url !== undefined),
      name,
    );
  }
  assert.is(lock.match(/^checksum = "sha256:[0-9a-f]{64}"$/gm)?.length, lock.match(/^checksum/gm)?.length);
});

test('what has no checksum for a platform that it is published for is missing', async () => {
  const kubernetes = (await releasedTools()).filter(({ name }) => /^kube(-scheduler|ctl)$/.test(name));
  const pin =
    '[[tools.kubectl]]\nversion = "1.31.0"\n\n[tools.kubectl."platforms.macos-x64"]\nchecksum = "sha256:1"\n';
  assert.equal(missingPins(kubernetes, pin), [
    'kube-scheduler 1.31.0 on linux-x64',
    'kube-scheduler 1.31.0 on linux-arm64',
    'kubectl 1.31.0 on linux-x64',
    'kubectl 1.31.0 on linux-arm64',
    'kubectl 1.31.0 on darwin-arm64',
  ]);
  assert.is(missingPins(kubernetes, pin.replace('1.31.0', '1.30.0')).length, 6);
});

const nixPackages: Record<string, { package: string; minimum: string }> = JSON.parse(
  readFileSync(nixPackagesFile, 'utf8'),
);

/** Tools on PATH that the shell leaves to the tasks. */
const leftOut = {
  vault: 'not free for nixpkgs, so Nix would compile it, as the tasks do',
  kubectl: 'nixpkgs has one Kubernetes, newer than the one pinned here',
  docker: 'belongs to its engine',
};

test('the shell of Nix has the tools of the manifest, in the versions that the manifest accepts', () => {
  const wanted = Object.values(tools).filter(
    ({ name, path, kubernetes }) => path !== false && kubernetes !== 'exact' && !(name in leftOut),
  );
  const names = wanted.map(({ name }) => name);
  assert.equal(Object.keys(nixPackages), names);
  for (const { name, minimum, version } of wanted) {
    assert.is(nixPackages[name]?.minimum, minimum, name);
    // Such as etcd_3_5: the series that is pinned.
    const [, series] = /_([\d_]+)$/.exec(nixPackages[name]?.package ?? '') ?? [];
    if (series && version) assert.ok(version.startsWith(`${series.replaceAll('_', '.')}.`), name);
  }
});

/** A machine with these files in its `etc`. */
const onSystem = (files: Record<string, string>, body: (place: Place) => Promise<void>): Promise<void> =>
  inPlace(async (place) => {
    mkdirSync(join(place.folder, 'etc'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(place.folder, 'etc', name), text);
    system.root = place.folder;
    try {
      await body(place);
    } finally {
      system.root = '/';
    }
  });

test('NixOS is recognized by its files', async () => {
  const reason = { reason: 'downloaded programs do not start on NixOS' };
  for (const files of [{ NIXOS: '' }, { 'os-release': 'NAME=NixOS\nID=nixos\n' }])
    await onSystem(files, async () => assert.equal(whyNoPrebuilt(), reason));
  for (const files of [{}, { 'os-release': 'ID=debian\nID_LIKE=nixos\n' }])
    await onSystem(files, async () => {
      assert.is(whyNoPrebuilt('linux-x64'), undefined);
      assert.equal(whyNoPrebuilt('linux-x64-musl'), { reason: 'downloaded programs do not start with musl' });
    });
});

test('on NixOS nothing is downloaded that needs a loader: tools are built, or named with `nix develop`', () =>
  onSystem({ NIXOS: '' }, async (place) => {
    place.script('npm', 'echo npm >> "$LOG"');
    const release = { host: 'no.invalid', package: 'aqua:smith/hammer' };
    const npm = { package: '@smith/{platform}', version: '1.2.3', program: 'hammer' };
    const entry = { ...builtTool(place), release, npm };
    const built = await place.get({ ...entry, name: 'sops' });
    assert.is(built.source, 'go');
    assert.equal(place.logged.slice(0, 1), [
      'sops: downloaded programs do not start on NixOS; building from Go modules (to avoid that, enter `nix develop`, which brings it)',
    ]);
    const postgresql = entryOf({ name: 'postgresql', version: '18.4.0', npm });
    const why = /^npm package: downloaded programs do not start on NixOS$/m;
    await fails(place.get(postgresql), { why, advice: /, or enter `nix develop`, which brings it$/ });
    assert.ok(place.calls().every((call) => call !== 'npm'));

    Object.assign(process.env, { PATH: place.bin, HTTPS_PROXY: 'http://127.0.0.1:9' });
    // This machine may have one.
    const { path } = tools.postgresql;
    Object.assign(tools.postgresql, { path: { programs: ['hammer-server'] } });
    place.script('go', 'echo go version go1.26.8 linux/amd64');
    const checked = await checkTools('embedded').finally(() => Object.assign(tools.postgresql, { path }));
    const rows = new Map(checked.map((row) => [row.name, row]));
    assert.is(rows.get('helm')?.source, 'go');
    const how = 'put postgresql 15.0.0 or newer on PATH: enter `nix develop`, which brings it';
    assert.is(rows.get('postgresql')?.how, how);
    assert.match(rows.get('docker')?.how ?? '', /: install Docker Engine/);
  }));

test.run();
