import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';

type Lib = typeof import('../../../lib/helm/plugins.ts');

const test = suite<{ clone: ScriptedClone }>('helm plugins');

test.before((state) => {
  state.clone = scriptedClone();
  // Whoever has a proxy reaches every host.
  process.env.HTTPS_PROXY = 'http://127.0.0.1:1';
});

test.after(({ clone }) => {
  delete process.env.HTTPS_PROXY;
  clone.remove();
});

for (const [version, refused] of [
  ['v3.18.6', '--verify'],
  ['v4.3.1', '--none'],
] as const) {
  test(`helm ${version} installs the plugins with options that it knows`, async ({ clone }) => {
    // Another folder for each: the version of a program is asked once.
    const bin = join(clone.folder, '..', version);
    mkdirSync(bin);
    const script = `[ "$1" != version ] || exec echo ${version}
case "$*" in *${refused}*) echo "Error: unknown flag: ${refused}" >&2; exit 1;; esac
echo "helm $*" >> "${process.env.CALLS}"`;
    writeFileSync(join(bin, 'helm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = [bin, process.env.PATH].join(delimiter);
    clone.forget();

    const { helmPlugins, installPlugins } = await clone.lib<Lib>('helm/plugins.ts');
    const outcome = await installPlugins({
      ...(await clone.context('embedded')),
      environment: await clone.environment('embedded'),
    });
    const installed = clone.calls().filter((call) => call.startsWith('helm plugin install'));
    assert.is(installed.length, helmPlugins.length);
    assert.is(outcome, 'changed');
    assert.is(
      installed.every((call) => call.includes('--verify=false')),
      version.startsWith('v4'),
    );
  });
}

test.run();
