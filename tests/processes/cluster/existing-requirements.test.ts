import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { oldestMinor } from '../../../lib/cluster/existing/requirements.ts';
import { context, listing, printing, withSettings } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import { type Changes, kubectl, operatorOf, test } from './scripted-existing.ts';

const storageClass = (name: string) => ({ 'get storageclass': listing({ metadata: { name } }) });
const type = (answer: string) => ({ customresourcedefinition: answer });
const noType = type('');
const served = (types: string, name = 'v1') => {
  const versions = [
    { name, served: true },
    { name: 'old', served: false },
  ];
  return type(`case "$*" in *${types}*) ${printing({ spec: { versions } })};; esac`);
};
const operator = (answer: string) => ({ 'get deployments': answer });
const issuer = (status: string) => {
  const conditions = [{ type: 'Ready', status, message: 'no account' }];
  return { 'get clusterissuer': printing({ status: { conditions } }) };
};
const keda = { enabled: true, kind: 'keda' };
const scaled = (more = {}) => ({ releases: { 'app2-back': { autoscaling: keda, ...more } } });
const cluster = { releases: { postgresql: { kind: 'cloudnative-pg' } } };
const backedUp = (method: object) => ({
  releases: { postgresql: { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, ...method } } } },
});
const clusters = served('clusters.postgresql.cnpg.io');
const monitored = { monitoring: { enabled: true } };
const fast = { cluster: { storageClass: 'fast' } };
const issued = { ingress: { tls: { clusterIssuer: 'letsencrypt' } } };
const version = { 'app.kubernetes.io/version': '1.30.0' };

const lacks = (what: string, setting: string): string =>
  `context \`some-context\` has no ${what}, which the setting ${setting} asks for`;
const lacksTwo = 'context `some-context` lacks 2 things that the settings ask for';
const kind = 'releases.postgresql.kind';
const backup = 'releases.postgresql.cluster.backup';
const issuerWhich = 'the ClusterIssuer letsencrypt, which the setting ingress.tls.clusterIssuer names,';
const noFast =
  'context `some-context` has no StorageClass fast, which the setting cluster.storageClass names';
const crdFailed =
  '`kubectl get customresourcedefinition podmonitors.monitoring.coreos.com` failed with exit code 1';

/** What is reported of settings with kubectl's answers; `fine: …`: nothing. */
for (const [what, changes, answer] of [
  [lacks('CloudNativePG', kind), cluster, noType],
  [lacks('CloudNativePG with v1', kind), cluster, served('clusters', 'v2')],
  ["CloudNativePG's operator is not in the namespace cnpg-system", cluster, operator(listing())],
  ['CloudNativePG 1.28.4 is too old', cluster, operator(operatorOf('host:5/cnpg:1.28.4@sha256:0'))],
  ['fine: an operator with its version in a label', cluster, operator(operatorOf('a@sha256:0', version))],
  [lacks('snapshot controller', backup), backedUp({}), clusters],
  [lacks("CloudNativePG's Barman Cloud plugin", backup), backedUp({ method: 'plugin' }), clusters],
  [lacks('KEDA', 'releases.app2-back.autoscaling.kind'), scaled(), noType],
  ['fine: a release that is left out', scaled({ installed: false }), noType],
  [lacks('Prometheus Operator', 'monitoring.enabled'), monitored, noType],
  [lacks('cert-manager', 'ingress.tls.clusterIssuer'), issued, noType],
  [`${issuerWhich} does not exist`, issued, {}],
  [`${issuerWhich} is not ready`, issued, issuer('False')],
  ['fine: an issuer that is ready', issued, issuer('True')],
  [lacksTwo, { ...monitored, ...issued }, noType],
  ['fine: a StorageClass that exists', fast, storageClass('fast')],
  [noFast, fast, storageClass('slow')],
  [crdFailed, monitored, type('echo "Unable to connect to the server" >&2; exit 1')],
] as readonly (readonly [string, Parameters<typeof withSettings>[0], Changes])[]) {
  test(`by the settings, ${what}`, async () => {
    kubectl(answer);
    const created = provider.create(withSettings(changes));
    if (what.startsWith('fine')) return void (await created);
    await fails(created, { what, why: /./, advice: /./ });
  });
}

test('an install looks only for what its releases need', async () => {
  kubectl({ ...noType, 'get storageclass': listing() });
  const check = async (...releases: string[]) =>
    provider.checkRequirements?.(withSettings(monitored), releases);
  await check('app1-back', 'reloader');
  await fails(check('devops'), { what: /has no Prometheus Operator/ });
});

test('the types of the ingress controller, which create-k8s brings, are looked for by an install of a front', async () => {
  kubectl(noType);
  const install = async (kind: 'ingress' | 'httproute', ...releases: readonly string[]) =>
    provider.checkRequirements?.(withSettings({ ingress: { kind } }), releases);
  await provider.create(context);
  await install('httproute', 'app1-back');
  const traefik = lacks('Traefik with its types', 'ingress.controller');
  await fails(install('ingress', 'app1-back', 'app1-front'), { what: traefik });
  const { why = '' } = await fails(install('httproute', 'app2-front'), {});
  assert.match(why, lacks('Gateway API', 'ingress.kind'));
});

test('the charts need the Kubernetes that is looked for', async () => {
  for (const name of await readdir('charts')) {
    const chart = await readFile(join('charts', name, 'Chart.yaml'), 'utf8');
    assert.match(chart, `kubeVersion: ">=1.${oldestMinor}.0-0"`, name);
  }
});

test.run();
