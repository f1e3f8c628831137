import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { goModules, loadManifest, testTools, toolNames } from '../../../lib/tools/manifest.ts';
import { lockFile, pinIn, pinnedPlatforms } from '../../../lib/tools/mise.ts';
import { plainCommands } from '../../../lib/tools/plain-commands.ts';
import { missingPins, releasedTools } from '../../../lib/tools/update-pins.ts';

const { tools } = await loadManifest();
const readGo = (module: string, name: string) => readFileSync(join(goModules, module, name), 'utf8');

test('the names in the code are those of the manifest, in its order', () => {
  assert.equal(Object.keys(tools), [...toolNames]);
  // Tools of the tests are the last in the order of the builds: nothing waits for them.
  assert.equal(toolNames.slice(-testTools.length), [...testTools]);
});

test('every Go module requires the very version that the manifest pins', () => {
  for (const { name, version, go } of Object.values(tools)) {
    // Whose files are used is tested below.
    if (go === undefined || go.files !== undefined) continue;
    const [, module, required] = /^require (\S+) (\S+)$/m.exec(readGo(go.module, 'go.mod')) ?? [];
    assert.is(required, `v${version}`, name);
    // A package of the required module, or a main package of our own that imports it.
    const ours = [`${module}/`, `k8s-deployment/tools/${go.module}/`];
    assert.ok(
      ours.some((of) => `${go.package}/`.startsWith(of)),
      name,
    );
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
    assert.ok(
      Object.keys(pinnedPlatforms).some((platform) => pinIn(lock, name, platform)?.url !== undefined),
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

test('files of other modules are of versions that go.mod and go.sum pin', () => {
  const files = Object.values(tools['chart-types'].go?.files ?? {});
  assert.ok(files.length >= 4);
  for (const { module } of files) {
    const [, version] = new RegExp(`^\\s${module} (v\\S+)$`, 'm').exec(readGo('chart-types', 'go.mod')) ?? [];
    assert.match(readGo('chart-types', 'go.sum'), `${module} ${version} h1:`);
  }
});

test('the plain commands of every tool hold no path of this machine', async () => {
  for (const name of toolNames) {
    const commands = await plainCommands(name);
    assert.ok(commands.length > 0, name);
    for (const command of commands) assert.not.match(command, /(^|[ '"=])\/(root|home|work|tmp|usr)/, name);
  }
});

test.run();
