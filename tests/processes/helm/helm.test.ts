import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { installPlugins, takeBackOptions } from '../../../lib/helm/helm.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { render } from '../../../lib/helm/rendered.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const project = scriptedFolder('environments');
// Behind a proxy every host counts as reachable.
process.env.HTTPS_PROXY = 'http://127.0.0.1:1';

const [vault, other] = [{ name: 'vault' }, { name: 'other' }] as Release[] as [Release, Release];

// That nothing is missing in it: tests/integration/environment/rendered.ts.
test('rendered files are for the user alone, and are removed; a release without a folder was not rendered', async () => {
  const context = await project.context('embedded');
  const { state } = context.environment;
  mkdirSync(join(state, 'source', 'vault'), { recursive: true });
  writeFileSync(join(state, 'source', 'vault', 'a.yaml'), 'kind: A');
  const output = `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2"`;
  project.script('helmfile', `${output}; stat -c '%a' "$2" >> "$CALLS"; cp -r '${state}/source/.' "$2/"`);
  assert.equal((await render(context, [vault])).get('vault'), ['kind: A']);
  assert.ok(project.calls().includes('700'));
  await fails(render(context, [vault, other]), { what: 'helmfile rendered nothing for other' });
  project.script('helmfile', 'exit 1');
  await failureOf(render(context, [vault]));
  const left = readdirSync(state, { recursive: true, encoding: 'utf8' });
  assert.not.ok(left.some((name) => name.includes('rendered-')));
});

for (const version of ['v3.18.6', 'v4.3.1'])
  test(`helm ${version} gets only options that it has`, async () => {
    // Another folder for each: the version of a program is asked once.
    const bin = join(project.folder, '..', version);
    mkdirSync(bin);
    const script = `[ "$1" != version ] || exec echo ${version}; echo "helm $*" >> "${process.env.CALLS}"`;
    writeFileSync(join(bin, 'helm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = [bin, process.env.PATH].join(delimiter);
    project.forget();
    assert.is(await installPlugins(await project.context('embedded')), 'changed');
    const installed = project.calls().filter((call) => call.startsWith('helm plugin install'));
    const unverified = installed.filter((call) => call.includes('--verify=false'));
    const found = [installed.length, unverified.length, (await takeBackOptions()).length];
    assert.equal(found, version.startsWith('v4') ? [2, 2, 2] : [2, 0, 0]);
  });

test.run();
