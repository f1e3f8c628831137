import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { oldestMinor } from '../../../lib/cluster/existing/requirements.ts';
import { failureOf } from '../../rig/task-context.ts';
import { answers, context, existingSuite, kubectl } from './scripted-existing.ts';

/* What an existing cluster must have, by the settings. */

const test = existingSuite('requirements of the settings');

type Wanted = {
  readonly releases?: object;
  readonly monitoring?: boolean;
  readonly clusterIssuer?: string;
  readonly storageClass?: string;
};

const storageClass = (name: string): string => `echo '{"items":[{"metadata":{"name":"${name}"}}]}'`;

const served = (type: string, version = 'v1') =>
  `case "$*" in *${type}*) echo '{"spec":{"versions":[{"name":"${version}","served":true},{"name":"old","served":false}]}}';; esac`;
const operator = (image: string, labels: object = {}) =>
  `echo '${JSON.stringify({ items: [{ metadata: { labels }, spec: { template: { spec: { containers: [{ image }] } } } }] })}'`;
const issuer = (status: string) =>
  `echo '${JSON.stringify({ status: { conditions: [{ type: 'Ready', status, message: 'no account' }] } })}'`;
const keda = { 'app2-back': { autoscaling: { enabled: true, kind: 'keda' } } };
const cluster = { postgresql: { password: '', kind: 'cloudnative-pg' } };

const lacks = (what: string, setting: string): string =>
  `context \`some-context\` has no ${what}, which the setting ${setting} asks for`;
const kind = 'releases.postgresql.kind';
const backup = 'releases.postgresql.cluster.backup';
const backedUp = (method: object) => ({
  releases: { postgresql: { ...cluster.postgresql, cluster: { backup: { enabled: true, ...method } } } },
});
const clusters = { type: served('clusters.postgresql.cnpg.io') };
const issued = { clusterIssuer: 'letsencrypt' };
const issuerWhich = 'the ClusterIssuer letsencrypt, which the setting ingress.tls.clusterIssuer names,';
const noFast =
  'context `some-context` has no StorageClass fast, which the setting cluster.storageClass names';
const crdFailed =
  '`kubectl get customresourcedefinition podmonitors.monitoring.coreos.com` failed with exit code 1';

/** Settings that need something of the cluster, kubectl's answers, and what is reported; `undefined`: nothing. */
for (const [title, changes, answer, what] of [
  ['an operator that is missing', { releases: cluster }, { type: '' }, lacks('CloudNativePG', kind)],
  [
    'an operator that does not serve the version of the charts',
    { releases: cluster },
    { type: served('clusters', 'v2') },
    lacks('CloudNativePG with v1', kind),
  ],
  [
    'an operator in another namespace',
    { releases: cluster },
    { operator: answers.caches },
    "CloudNativePG's operator is not in the namespace cnpg-system",
  ],
  [
    'an operator that is too old',
    { releases: cluster },
    { operator: operator('host:5000/cloudnative-pg:1.28.4@sha256:0') },
    'CloudNativePG 1.28.4 is too old',
  ],
  [
    'an operator whose label tells its version',
    { releases: cluster },
    { operator: operator('cloudnative-pg@sha256:0', { 'app.kubernetes.io/version': '1.30.0' }) },
    undefined,
  ],
  ['snapshots without their controller', backedUp({}), clusters, lacks('snapshot controller', backup)],
  [
    'backups without their plugin',
    backedUp({ method: 'plugin' }),
    clusters,
    lacks("CloudNativePG's Barman Cloud plugin", backup),
  ],
  [
    'autoscaling without KEDA',
    { releases: keda },
    { type: '' },
    lacks('KEDA', 'releases.app2-back.autoscaling.kind'),
  ],
  [
    'a release that is left out',
    { releases: { 'app2-back': { ...keda['app2-back'], installed: false } } },
    { type: '' },
    undefined,
  ],
  [
    'monitoring without its operator',
    { monitoring: true },
    { type: '' },
    lacks('Prometheus Operator', 'monitoring.enabled'),
  ],
  [
    'an issuer without cert-manager',
    issued,
    { type: '' },
    lacks('cert-manager', 'ingress.tls.clusterIssuer'),
  ],
  ['an issuer that does not exist', issued, { issuer: '' }, `${issuerWhich} does not exist`],
  ['an issuer without an account', issued, { issuer: issuer('False') }, `${issuerWhich} is not ready`],
  ['an issuer', issued, { issuer: issuer('True') }, undefined],
  [
    'several at once',
    { monitoring: true, ...issued },
    { type: '' },
    'context `some-context` lacks 2 things that the settings ask for',
  ],
  ['a cluster class of the settings', { storageClass: 'fast' }, { storage: storageClass('fast') }, undefined],
  [
    'a class of the settings that does not exist',
    { storageClass: 'fast' },
    { storage: storageClass('slow') },
    noFast,
  ],
  [
    'types that kubectl cannot read',
    { monitoring: true },
    { type: 'echo "Unable to connect to the server" >&2; exit 1' },
    crdFailed,
  ],
] as readonly (readonly [string, Wanted, Partial<typeof answers>, string | undefined])[]) {
  test(`what the settings need: ${title} ${what ? 'is reported' : 'is fine'}`, async () => {
    const { settings } = context;
    const { releases = {}, clusterIssuer = '', storageClass = '' } = changes;
    const changed = {
      ...settings,
      releases: { postgresql: settings.releases.postgresql, ...releases },
      monitoring: { ...settings.monitoring, enabled: changes.monitoring ?? false },
      ingress: { ...settings.ingress, tls: { ...settings.ingress.tls, clusterIssuer } },
      cluster: { ...settings.cluster, storageClass },
    };
    kubectl(answer);
    const created = provider.create({ ...context, settings: changed });
    if (what === undefined) return void (await created);
    const error = await failureOf(created);
    assert.is(error.what, what);
    assert.ok(error.why && error.advice);
  });
}

test('an install looks only for what its releases need', async () => {
  kubectl({ type: '', storage: `echo '{"items":[]}'` });
  const settings = { ...context.settings, monitoring: { ...context.settings.monitoring, enabled: true } };
  await provider.checkRequirements?.({ ...context, settings }, ['app1-back', 'reloader']);
  const { what } = await failureOf(
    provider.checkRequirements?.({ ...context, settings }, ['devops']) ?? Promise.resolve(),
  );
  assert.match(what, 'has no Prometheus Operator');
});

test('the types of the ingress controller, which create-k8s brings, are looked for by an install of a front', async () => {
  kubectl({ type: '' });
  const install = async (kind: 'ingress' | 'httproute', releases: readonly string[]) => {
    const settings = { ...context.settings, ingress: { ...context.settings.ingress, kind } };
    await provider.checkRequirements?.({ ...context, settings }, releases);
  };
  await provider.create(context);
  await install('httproute', ['app1-back']);
  const { what } = await failureOf(install('ingress', ['app1-back', 'app1-front']));
  assert.is(what, lacks('Traefik with its types', 'ingress.controller'));
  const { why = '' } = await failureOf(install('httproute', ['app2-front']));
  assert.match(why, lacks('Gateway API', 'ingress.kind'));
});

test('the charts need the Kubernetes that is looked for', async () => {
  for (const name of await readdir('charts')) {
    const chart = await readFile(join('charts', name, 'Chart.yaml'), 'utf8');
    assert.match(chart, `kubeVersion: ">=1.${oldestMinor}.0-0"`, name);
  }
});

test.run();
