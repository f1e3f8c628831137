import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import {
  checkLeftOut,
  declaredReleases,
  declaredValues,
  namesText,
  type Selection,
} from '../../../lib/helm/helmfile.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { Target } from '../../../lib/settings/context.ts';
import { applications, releaseTable } from '../../rig/applications.ts';
import { fails, targetOf } from '../../rig/task-context.ts';

test('arguments know every app, tier and release', async () => {
  const own = applications.map(({ name }) => name);
  const apps = ['devops', 'metrics-server', 'vault', 'reloader', 'postgresql', ...own];
  assert.equal(await declaredValues(root, 'app'), apps);
  assert.equal(await declaredValues(root, 'tier'), ['core', 'apps']);
  assert.is((await declaredValues(root, 'name')).length, releaseTable.length);
});

test('a selection includes exactly its needs, in the order of the file', async () => {
  const names = async (selection: Selection): Promise<string> =>
    namesText(await declaredReleases(root, selection, 'with-needs'));
  assert.is(await names({ app: 'app2' }), 'devops, postgresql, app2-back, app2-front');
  assert.is(await names({ app: 'vault' }), 'devops, vault, vault-operator');
  assert.not.match(await names({ tier: 'apps' }), 'reloader');
  assert.is((await declaredReleases(root, {})).length, releaseTable.length);
  assert.is(namesText(await declaredReleases(root, { app: 'app2' })), 'app2-back, app2-front');
});

/** The environment with releases left out. */
async function without(...names: string[]): Promise<Target> {
  const target = await targetOf({ env: 'development', provider: 'embedded' });
  const settings = structuredClone(target.settings);
  for (const name of names) settings.releases[name] = { ...settings.releases[name], installed: false };
  return { ...target, settings };
}

test('what an installed release needs cannot be left out', async () => {
  const what = 'releases.vault-operator.installed is false, but app1-back needs vault-operator';
  const why = 'helmfile.yaml lists it under the needs of app1-back';
  await fails(checkLeftOut(await without('vault-operator')), { what, why });
  const ofVault = applications.flatMap(({ name, secrets }) =>
    secrets === 'vault' ? [`${name}-back`, `${name}-front`] : [],
  );
  await checkLeftOut(await without('reloader', 'vault', 'vault-operator', ...ofVault));
});

test('a helmfile.yaml that cannot be read is an error before anything runs', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'helmfile.yaml'), 'releases: [\n');
  await fails(declaredReleases(folder), { what: 'helmfile.yaml:2 is not valid YAML', exitCode: 1 });
});

test.run();
