import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  installedChart,
  needsRepositories,
  type ToolChart,
  toolCharts,
} from '../../../lib/helm/chart-places.ts';
import { helmfileCommand, helmfileText } from '../../../lib/helm/helmfile.ts';
import { needsOf } from '../../../lib/runner/task.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { chartTools, installTools } from '../../../tasks/tools.ts';
import { fails, targetOf } from '../../rig/task-context.ts';

const settingsWith = (chart: string): Settings => ({ charts: { other: { chart } } }) as unknown as Settings;

test('a path with a comma is refused: helmfile would panic', async () => {
  const [chart] = toolCharts(settingsWith('tool://vault-secrets-operator/chart,two'));
  await fails(installedChart(chart as ToolChart), { why: /its path has a comma/ });
});

test('install-tools installs tools that contain charts, even if the provider does not need them', async () => {
  const input = { args: {}, options: { env: 'lab', provider: 'existing' }, passThrough: [] };
  assert.ok(needsOf(installTools, input).some(({ task }) => task === chartTools));
  assert.match((await chartTools.commands(input)).join('\n'), 'go -C lib/tools/go/vault-secrets-operator');
  const none = { ...input, options: { env: 'development', provider: 'existing' } };
  assert.equal(await chartTools.commands(none), []);
});

test('a chart of an unknown tool is an error that names it', async () => {
  for (const chart of ['tool://vault-secret-operator/chart', 'tool://vault', 'tool://']) {
    const what = new RegExp(`\`charts.other.chart\` to be tool://<tool>/<folder>, got \`${chart}\``);
    await fails((async () => toolCharts(settingsWith(chart)))(), { what });
  }
});

test('chart repositories are loaded only if a chart comes from one; the chart of a tool is a path, or a command that finds it', async () => {
  assert.ok(needsRepositories(settingsWith('hashicorp/vault')));
  for (const chart of ['./charts/vault', '../charts/vault', '/charts/vault', 'tool://vault/chart'])
    assert.not.ok(needsRepositories(settingsWith(chart)), chart);
  const lab = await targetOf({ env: 'lab', provider: 'existing', context: 'lab' });
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
