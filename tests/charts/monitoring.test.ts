import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { pageOf } from '../rig/pages.ts';
import { findProgram } from '../rig/programs.ts';
import { environmentObjects, helmfileText } from './environments.ts';
import { type KubernetesObject, only, readYaml, render, type Tree } from './render.ts';
import { succeed, temporaryFolder } from './tools.ts';

/* The setting `monitoring`: monitors, alerts, the dashboard, and Prometheus's way to what has metrics. */

const test = suite('monitoring');

const devops = (monitoring: Tree = {}) =>
  render('devops', {
    release: 'devops',
    namespace: 'core',
    values: { monitoring: { enabled: true, ...monitoring } },
  });

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
};

const rulesIn = (objects: readonly KubernetesObject[]): Rule[] =>
  only(objects, 'PrometheusRule').spec.groups.flatMap(({ rules }: { rules: Rule[] }) => rules);
const rulesOf = async () => rulesIn(await devops());

const dashboard = async () =>
  JSON.parse(only(await devops(), 'ConfigMap', 'devops-dashboard').data['k8s-deployment.json']);

const isOurs = ({ apiVersion, metadata }: KubernetesObject): boolean =>
  apiVersion.startsWith('monitoring.coreos.com/') || /prometheus|dashboard/.test(metadata.name);

test('it is off by default, and one setting turns all of it on', async () => {
  assert.equal((await environmentObjects('existing', 'production')).filter(isOurs), []);
  const kinds = new Set((await devops()).filter(isOurs).map(({ kind }) => kind));
  const all = ['ConfigMap', 'NetworkPolicy', 'PodMonitor', 'PrometheusRule', 'ServiceMonitor'];
  assert.equal([...kinds].sort(), all);
});

// Those of the default: connections.test.ts.
test('the pods of Prometheus, which alone are let in, are those of the settings', async () => {
  const podLabels = { app: 'own' };
  const peers = (await devops({ prometheus: { namespace: 'observe', podLabels } }))
    .filter(({ kind, metadata }) => kind === 'NetworkPolicy' && /^accept-prometheus-/.test(metadata.name))
    .map(({ spec }) => spec.ingress[0].from);
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'observe' } };
  assert.equal(peers, Array(3).fill([{ namespaceSelector, podSelector: { matchLabels: podLabels } }]));
});

test('Vault serves metrics without a login only with the setting', async () => {
  for (const environment of ['development', 'production'])
    for (const enabled of [false, true]) {
      const file = join(temporaryFolder(), 'values.yaml');
      await helmfileText('existing', environment, ['write-values', '--output-file-template', file], {
        settings: stringify({ monitoring: { enabled } }),
        selectors: ['name=vault'],
      });
      const { server } = parse(await readFile(file, 'utf8')) as { server: Record<string, Tree> };
      const { config } = (server.ha?.raft ?? server.standalone) as { config: string };
      const telemetry = /^listener "tcp" \{\n(?: .*\n)* +unauthenticated_metrics_access = true$/m;
      assert.is(telemetry.test(config), enabled, config);
      assert.is(/^telemetry \{\n +prometheus_retention_time/m.test(config), enabled, config);
    }
});

test('monitors carry the labels that Prometheus selects by, and the name of the target as job', async () => {
  const place = { namespace: 'backend', labels: { app: 'app3' }, port: 9000 };
  const own = { kind: 'PodMonitor', ...place, endpoint: { port: 'http' } };
  // also one that all objects have
  const labels = { release: 'stack', 'app.kubernetes.io/part-of': 'stack' };
  const objects = await devops({ labels, targets: { app3: own, traefik: null } });
  const monitors = objects.filter(({ kind }) => /Monitor$/.test(kind));
  const places = monitors.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
  assert.equal(places, ['backend/app3', 'database/postgresql', 'vault/vault', 'vault/vault-operator']);
  assert.is(only(await devops(), 'PodMonitor', 'traefik').metadata.namespace, 'core');
  for (const { metadata, spec } of [...monitors, only(objects, 'PrometheusRule')]) {
    assert.equal({ ...metadata.labels, ...labels }, metadata.labels, metadata.name);
    const [endpoint] = spec.podMetricsEndpoints ?? spec.endpoints ?? [];
    if (endpoint) assert.equal(endpoint.relabelings, [{ targetLabel: 'job', replacement: metadata.name }]);
  }
  const down = rulesIn(objects).find(({ alert }) => alert === 'TargetDown');
  assert.is(down?.expr, 'up{job=~"app3|postgresql|vault|vault-operator"} == 0');
});

test('every expression of alerts and dashboard is PromQL', async () => {
  const strict = parser.configure({ strict: true });
  const panels = (await dashboard()).panels as { title: string; targets: { expr: string }[] }[];
  const expressions = [
    ...(await rulesOf()).map(({ alert, expr }) => [alert, expr]),
    ...panels.map(({ title, targets }) => [title, targets[0]?.expr ?? '']),
  ];
  assert.ok(expressions.length > 30);
  for (const [name, expr = ''] of expressions) {
    assert.not.throws(() => strict.parse(expr), `${name}: ${expr}`);
    assert.not.match(expr, /TARGETS|NAMESPACES/);
  }
  assert.throws(() => strict.parse('rate(up[5m)'));
  const places = panels.map((panel) => JSON.stringify((panel as unknown as Tree).gridPos));
  assert.is(new Set(places).size, panels.length);
});

test('every alert has a severity, a summary and its heading in the runbooks', async () => {
  const rules = await rulesOf();
  const { text } = pageOf('docs/runbooks.md');
  const headings = [...text.matchAll(/^## (\w+)$/gm)].map(([, heading = '']) => heading);
  assert.equal(rules.map(({ alert }) => alert).sort(), headings.sort());
  for (const { alert, labels, annotations } of rules) {
    assert.ok(['critical', 'warning'].includes(labels.severity), alert);
    assert.ok(annotations.summary.length > 10, alert);
    assert.is(annotations.runbook_url, `docs/runbooks.md#${alert.toLowerCase()}`);
  }
});

/** Length of the first series: the numbers behind `x`. */
const minutesOf = (first = ''): number =>
  [...first.matchAll(/x(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);

const promtool = findProgram('PROMTOOL_PATH', 'promtool');
if (promtool === undefined) process.stdout.write('left out: when alerts fire (PROMTOOL_PATH, or on PATH)\n');

(promtool === undefined ? test.skip : test)('each alert fires in its case and no other does', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'rules.yaml'), stringify(only(await devops(), 'PrometheusRule').spec));
  const cases = (await readYaml('tests/charts/alerts.yaml')) as Record<string, Record<string, string>>;
  const alerts = (await rulesOf()).map(({ alert }) => alert);
  assert.equal(Object.keys(cases).sort(), [...alerts, 'healthy'].sort());
  const tests = Object.entries(cases).map(([name, series]) => {
    const firing = {
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: `${minutesOf(Object.values(series)[0])}m`,
      exp_samples: name === 'healthy' ? [] : [{ labels: `{alertname="${name}"}`, value: 1 }],
    };
    const input_series = Object.entries(series).map(([one, values]) => ({ series: one, values }));
    return { name, interval: '1m', input_series, promql_expr_test: [firing] };
  });
  const all = { rule_files: ['rules.yaml'], evaluation_interval: '1m', tests };
  await writeFile(join(folder, 'tests.yaml'), stringify(all));
  await succeed(promtool ?? '', ['test', 'rules', 'tests.yaml'], { folder });
});

test.run();
