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

const start = 'name: cache, namespace: core, chart: ./charts/cache';
const labels = 'labels: { tier: core, app: cache }';
const text = 'to be a text that is not empty';
const name = 'to be a name, at most 63 of a-z, 0-9 and -';
const releaseName = name.replace('63', '53');
const label = 'to be a word of letters, 0-9, ., _, /, + and -';

const declaredIn = (content: string) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'helmfile.yaml'), content);
  return declaredReleases(folder);
};

for (const [content, what, why] of [
  ['releases: [\n', '2 is not valid YAML'],
  ['', '1: expected the file to be a map with `releases`', 'it is an empty value'],
  ['- cache', '1: expected the file to be a map with `releases`', 'it is a list'],
  ['releses: []', '1: expected `releases` to be a list of releases', 'it is missing; the map has [releses]'],
  ['releases:', '1: expected `releases` to be a list of releases', 'it is an empty value'],
  ['releases: { cache: }', '1: expected `releases` to be a list of releases', 'it is a map'],
  ['releases: []\nhelmDefaults: 300', '2: expected `helmDefaults` to be a map', 'it is the number `300`'],
  ['releases: []\nrepositories: [{ name: a }]', `2: expected \`repositories.0.url\` ${text}`, /missing/],
  ['releases:\n- cache', '2: expected `releases.0` to be a map', 'it is the text `cache`'],
  ['releases:\n-', '2: expected `releases.0` to be a map', 'it is an empty value'],
  ...[
    [
      start,
      'labels` to be a map with `tier` and `app`',
      'it is missing; the map has [name, namespace, chart]',
    ],
    [`${start}, labels: { app: cache }`, `labels.tier\` ${label}`, 'it is missing; the map has [app]'],
    [`namespace: core, ${labels}`, `name\` ${releaseName}`, 'it is missing; the map has [namespace, labels]'],
    ...['1', 'Cache', 'cache_1', '-cache', 'a'.repeat(54)].map(
      (wrong) => [`name: ${wrong}, ${labels}`, `name\` ${releaseName}`, /it is the/] as const,
    ),
    [`name: backend, ${labels}`, 'name` to be another name than that of a chart', /`backend`/],
    [`name: cache, namespace: "", ${labels}`, `namespace\` ${name}`, 'it is the text ``'],
    [`${start}, labels: { tier: "a,b", app: cache }`, `labels.tier\` ${label}`, 'it is the text `a,b`'],
    [`${start}, labels: { tier: core, app: "x y" }`, `labels.app\` ${label}`, 'it is the text `x y`'],
    [`name: cache, namespace: core, ${labels}`, `chart\` ${text}`, /missing/],
    [`${start}, ${labels}, timeout: 5m`, 'timeout` to be a whole number of seconds, at least 1', /`5m`/],
    [
      `${start}, ${labels}, needs: core/devops`,
      'needs` to be a list, each an id such as `core/devops`',
      /text/,
    ],
    [`${start}, ${labels}, needs: [devops]`, 'needs.0` to be an id such as `core/devops`', /`devops`/],
  ].map(
    ([keys, rule, why]) => [`releases:\n- { ${keys} }`, `2: expected \`releases.0.${rule}`, why] as const,
  ),
  [
    `releases:\n- { ${start}, ${labels} }\n- { name: cache, namespace: b, chart: c, ${labels} }`,
    '3: expected `releases.1` to be a release with another name than `cache`, which is taken',
    'it is a map',
  ],
] as const)
  test(`a mistake in helmfile.yaml is named with its line: ${what}`, async () => {
    const given = why === undefined ? {} : { why };
    await fails(declaredIn(content), { what: `helmfile.yaml:${what}`, ...given, exitCode: 1 });
  });

test('of a release, the tasks read some keys; the others are for helmfile', async () => {
  const releases = `releases: [{ ${start}, labels: { tier: a/b+c, app: cache.1 }, needs: , wait: true }]`;
  const [release] = await declaredIn(`helmDefaults: { timeout: 60 }\n${releases}`);
  const named = { name: 'cache', namespace: 'core', chart: './charts/cache', id: 'core/cache' };
  assert.equal(release, { ...named, tier: 'a/b+c', app: 'cache.1', needs: [], timeout: 60 });
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
