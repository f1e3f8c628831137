import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { helmPlugins, installPlugins } from '../../../lib/helm/plugins.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';

const project = scriptedFolder('environments');
// Behind a proxy every host counts as reachable.
process.env.HTTPS_PROXY = 'http://127.0.0.1:1';

for (const [version, refused] of [
  ['v3.18.6', '--verify'],
  ['v4.3.1', '--none'],
] as const) {
  test(`helm ${version} installs the plugins with options that it has`, async () => {
    // Another folder for each: the version of a program is asked once.
    const bin = join(project.folder, '..', version);
    mkdirSync(bin);
    const script = `[ "$1" != version ] || exec echo ${version}
case "$*" in *${refused}*) echo "Error: unknown flag: ${refused}" >&2; exit 1;; esac
echo "helm $*" >> "${process.env.CALLS}"`;
    writeFileSync(join(bin, 'helm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = [bin, process.env.PATH].join(delimiter);
    project.forget();

    const outcome = await installPlugins(await project.context('embedded'));
    const installed = project.calls().filter((call) => call.startsWith('helm plugin install'));
    assert.equal([outcome, installed.length], ['changed', helmPlugins.length]);
    const unverified = installed.filter((call) => call.includes('--verify=false'));
    assert.equal(unverified, version.startsWith('v4') ? installed : []);
  });
}

test.run();
