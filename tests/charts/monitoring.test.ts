import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { findProgram } from '../rig/find-program.ts';
import { pageOf } from '../rig/pages.ts';
import { environmentObjects, helmfileText } from './environments.ts';
import { type KubernetesObject, ofKind, only, readYaml, render, type Tree } from './render.ts';
import { run, temporaryFolder } from './tools.ts';

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

const rulesOf = async (): Promise<Rule[]> =>
  only(await devops(), 'PrometheusRule').spec.groups.flatMap(({ rules }: { rules: Rule[] }) => rules);

const dashboard = async () =>
  JSON.parse(only(await devops(), 'ConfigMap', 'devops-dashboard').data['k8s-deployment.json']);

const isOurs = ({ apiVersion, metadata }: KubernetesObject): boolean =>
  apiVersion.startsWith('monitoring.coreos.com/') || /prometheus|dashboard/.test(metadata.name);

test('it is off by default, and one setting turns all of it on', async () => {
  assert.equal((await environmentObjects('existing', 'production')).filter(isOurs), []);
  const kinds = new Set((await devops()).filter(isOurs).map(({ kind }) => kind));
  assert.equal([...kinds].sort(), [
    'ConfigMap',
    'NetworkPolicy',
    'PodMonitor',
    'PrometheusRule',
    'ServiceMonitor',
  ]);
});

test('the pods of Prometheus, which alone are let in, are those of the settings', async () => {
  const peers = async (podLabels: Tree) =>
    ofKind(await devops({ prometheus: { namespace: 'observe', podLabels } }), 'NetworkPolicy')
      .filter(({ metadata }) => metadata.name.startsWith('accept-prometheus-'))
      .map(({ spec }) => spec.ingress[0].from);
  const pods = (matchLabels: Tree) => [
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observe' } },
      podSelector: { matchLabels },
    },
  ];
  assert.equal(await peers({ app: 'own' }), Array(3).fill(pods({ app: 'own' })));
  assert.equal(await peers({}), Array(3).fill(pods({ 'app.kubernetes.io/name': 'prometheus' })));
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
      const raft = (server.ha?.raft ?? server.standalone) as { config: string };
      const telemetry = /^listener "tcp" \{\n(?: .*\n)* +unauthenticated_metrics_access = true$/m;
      assert.is(telemetry.test(raft.config), enabled, raft.config);
      assert.is(/^telemetry \{\n +prometheus_retention_time/m.test(raft.config), enabled, raft.config);
    }
});

test('monitors carry the labels that Prometheus selects by, and the name of the target as job', async () => {
  const own = {
    kind: 'PodMonitor',
    namespace: 'backend',
    labels: { app: 'app3' },
    port: 9000,
    endpoint: { port: 'http' },
  };
  // also one that all objects have
  const labels = { release: 'stack', 'app.kubernetes.io/part-of': 'stack' };
  const objects = await devops({ labels, targets: { app3: own, traefik: null } });
  const monitors = objects.filter(({ kind }) => /Monitor$/.test(kind));
  assert.equal(monitors.map(({ metadata }) => metadata.name).sort(), [
    'app3',
    'postgresql',
    'vault',
    'vault-operator',
  ]);
  const places = (all: readonly KubernetesObject[]) => all.map(({ metadata }) => metadata.namespace).sort();
  assert.equal(places(monitors), ['backend', 'database', 'vault', 'vault']);
  assert.equal(places(ofKind(await devops(), 'PodMonitor')), ['core', 'database', 'vault'], 'Traefik');
  for (const { metadata, spec } of [...monitors, only(objects, 'PrometheusRule')]) {
    assert.equal({ ...metadata.labels, ...labels }, metadata.labels, metadata.name);
    const [endpoint] = spec.podMetricsEndpoints ?? spec.endpoints ?? [];
    if (endpoint) assert.equal(endpoint.relabelings, [{ targetLabel: 'job', replacement: metadata.name }]);
  }
  const { expr } = only(objects, 'PrometheusRule')
    .spec.groups.flatMap(({ rules }: { rules: Rule[] }) => rules)
    .find(({ alert }: Rule) => alert === 'TargetDown');
  assert.is(expr, 'up{job=~"app3|postgresql|vault|vault-operator"} == 0');
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
const minutesOf = (series: Readonly<Record<string, string>>): number =>
  [...(Object.values(series)[0] ?? '').matchAll(/x(\d+)/g)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );

const promtool = findProgram('PROMTOOL_PATH', 'promtool');
if (promtool === undefined)
  process.stdout.write(
    'left out: when alerts fire, since there is no promtool (PROMTOOL_PATH, or on PATH)\n',
  );

(promtool === undefined ? test.skip : test)('each alert fires in its case and no other does', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'rules.yaml'), stringify(only(await devops(), 'PrometheusRule').spec));
  const cases = (await readYaml('tests/charts/alerts.yaml')) as Record<string, Record<string, string>>;
  const alerts = (await rulesOf()).map(({ alert }) => alert);
  assert.equal(Object.keys(cases).sort(), [...alerts, 'healthy'].sort());
  const tests = Object.entries(cases).map(([name, series]) => ({
    name,
    interval: '1m',
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    promql_expr_test: [
      {
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: `${minutesOf(series)}m`,
        exp_samples: name === 'healthy' ? [] : [{ labels: `{alertname="${name}"}`, value: 1 }],
      },
    ],
  }));
  await writeFile(
    join(folder, 'tests.yaml'),
    stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }),
  );
  const { exitCode, stdout, stderr } = await run(promtool ?? '', ['test', 'rules', 'tests.yaml'], { folder });
  assert.is(exitCode, 0, `${stdout}${stderr}`);
});

test.run();
