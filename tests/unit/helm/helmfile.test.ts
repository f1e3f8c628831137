import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { installedChart, needsRepositories, toolCharts } from '../../../lib/helm/chart-places.ts';
import {
  checkLeftOut,
  declaredReleases,
  helmfileCommand,
  helmfileText,
  namesText,
  type Selection,
} from '../../../lib/helm/helmfile.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { applications, releaseTable } from '../../rig/applications.ts';
import { fails, settledContext } from '../../rig/task-context.ts';

test('a selection includes exactly its needs, in the order of the file', async () => {
  const names = async (selection: Selection): Promise<string> =>
    namesText(await declaredReleases(root, { ...selection, withNeeds: true }));
  assert.is(await names({ app: 'app2' }), 'devops, postgresql, app2-back, app2-front');
  assert.is(await names({ app: 'vault' }), 'devops, vault, vault-operator');
  assert.not.match(await names({ tier: 'apps' }), 'reloader');
  assert.is((await declaredReleases(root, {})).length, releaseTable.length);
  assert.is(namesText(await declaredReleases(root, { app: 'app2' })), 'app2-back, app2-front');
});

test('what an installed release needs cannot be left out', async () => {
  const target = await settledContext({});
  const without = (...names: string[]) => {
    const settings = structuredClone(target.settings);
    for (const name of names) settings.releases[name] = { ...settings.releases[name], installed: false };
    return checkLeftOut({ ...target, settings });
  };
  const what = 'releases.vault-operator.installed is false, but app1-back needs vault-operator';
  const why = 'helmfile.yaml lists it under the needs of app1-back';
  await fails(without('vault-operator'), { what, why });
  const ofVault = applications.flatMap(({ name, secrets }) =>
    secrets === 'vault' ? [`${name}-back`, `${name}-front`] : [],
  );
  await without('reloader', 'vault', 'vault-operator', ...ofVault);
});

test('a helmfile.yaml that cannot be read is an error before anything runs', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'helmfile.yaml'), 'releases: [\n');
  await fails(declaredReleases(folder), { what: 'helmfile.yaml:2 is not valid YAML', exitCode: 1 });
});

const settingsWith = (chart: string): Settings => ({ charts: { other: { chart } } }) as unknown as Settings;

test('a chart of an unknown tool is an error that names it, and so is a path with a comma: helmfile would panic', async () => {
  for (const chart of ['tool://vault-secret-operator/chart', 'tool://vault', 'tool://']) {
    const what = new RegExp(`\`charts.other.chart\` to be tool://<tool>/<folder>, got \`${chart}\``);
    await fails(() => toolCharts(settingsWith(chart)), { what });
  }
  const [chart] = toolCharts(settingsWith('tool://vault-secrets-operator/chart,two'));
  await fails(installedChart(chart as NonNullable<typeof chart>), { why: /its path has a comma/ });
});

test('chart repositories are loaded only if a chart comes from one; the chart of a tool is a path, or a command that finds it', async () => {
  assert.ok(needsRepositories(settingsWith('hashicorp/vault')));
  for (const chart of ['./charts/vault', '../charts/vault', '/charts/vault', 'tool://vault/chart'])
    assert.not.ok(needsRepositories(settingsWith(chart)), chart);
  const lab = await settledContext({ env: 'lab', provider: 'existing', context: 'lab' });
  const words = await helmfileCommand(lab);
  const { kubeconfig } = lab.environment;
  assert.equal(words.slice(0, 5), ['helmfile', '--kubeconfig', kubeconfig, '--kube-context', 'lab']);
  assert.equal(words.slice(-3, -1), ['--skip-deps', '--state-values-set']);
  assert.match(words.at(-1) ?? '', /^charts\.vaultOperator\.chart=.*vault-secrets-operator.*\/chart$/);
  assert.match(
    await helmfileText(lab, 'sync'),
    / --skip-deps --state-values-set charts\.vaultOperator\.chart="\$\(dirname .*\)\/chart" sync$/,
  );
});

test.run();
