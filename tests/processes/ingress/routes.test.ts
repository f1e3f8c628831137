import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { ensureRouteCertificates, removeRouteCertificates } from '../../../lib/ingress/certificates.ts';
import { routeAddresses } from '../../../lib/ingress/routes.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { portOf } from '../../rig/loopback.ts';
import { context, listing, printing, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';

const cnf = 'lib/certificates/certificates.cnf';
const { test, project } = scriptedSuite('routes', 'minikube', 'environments', cnf);
const nodePort = await portOf(createServer());

const route = (namespace: string, name: string, host: string | undefined, path: string) => ({
  kind: 'Ingress',
  metadata: { namespace, name },
  spec: { tls: [{}], rules: [{ host, http: { paths: [{ path }] } }] },
});
const routes = [
  route('frontend', 'app1-front-admin', 'app1.test', '/admin'),
  route('frontend', 'app2-front-public', 'app2.test', '/'),
  route('other', 'foreign', undefined, '/'),
];

const pod = (hostIP: string, ready: 'True' | 'False') => ({
  status: { hostIP, conditions: [{ type: 'Ready', status: ready }] },
});
const pods = [pod('127.0.0.8', 'False'), pod('127.0.0.1', 'True')];

/** The routes, and a controller at this port of nodes; without one it is a Service inside the cluster. */
function reached(
  nodePort: number | undefined,
  items: readonly object[] = routes,
  of = pods,
  status = {},
): void {
  const ports = [80, 443].map((port) => (nodePort === undefined ? { port } : { port, nodePort }));
  project.script('kubectl', {
    'get services': listing({ metadata: { name: 'traefik' }, spec: { ports }, status }),
    'get pods': listing(...of),
    '': listing(...items),
  });
}

type Ingress = NonNullable<Parameters<typeof withSettings>[0]['ingress']>;
const addresses = (ingress: Ingress = {}) => routeAddresses(withSettings({ ingress }));

test('the URLs have the port of the redirect, and a note names the serving address', async () => {
  reached(nodePort);
  const note = `served at 127.0.0.1:${nodePort}; without DNS, add to /etc/hosts: 127.0.0.1 app1.test app2.test`;
  assert.equal(await addresses(), [
    { name: 'frontend/app1-front-admin', address: 'https://app1.test:30443/admin', note },
    { name: 'frontend/app2-front-public', address: 'https://app2.test:30443/', note },
    { name: 'other/foreign', address: 'https://*/' },
  ]);
  const [nginx] = await addresses({ controller: 'nginx' });
  assert.is(nginx?.address, `https://app1.test:${nodePort}/admin`);
});

test('if no node answers from here, the note is the command that forwards the port, or that there is no controller', async () => {
  const port = await freePort();
  reached(port);
  const [first] = await addresses();
  assert.is(first?.address, 'https://app1.test:30443/admin');
  const kubectl = `kubectl --kubeconfig .state/development/kubeconfig --context ${context.environment.context}`;
  assert.is(
    first?.note,
    `the ingress controller does not answer at 127.0.0.1:${port}; forward a port: ${kubectl} -n ingress port-forward svc/traefik 30443:443; and add to /etc/hosts: 127.0.0.1 app1.test app2.test`,
  );
  reached(undefined);
  const [plain] = await addresses({ tls: { port: 443 } });
  assert.is(plain?.address, 'https://app1.test/admin');
  const asRoot = /has no address outside the cluster; forward a port \(as root\): .* 443:443; /;
  assert.match(plain?.note ?? '', asRoot);
  reached(port, routes, pods.slice(0, 1));
  assert.match((await addresses())[0]?.note ?? '', 'has no address outside the cluster', 'no pod is ready');
  reached(port, routes, pods, { loadBalancer: { ingress: [{ hostname: '127.0.0.9' }] } });
  assert.match((await addresses())[0]?.note ?? '', 'does not answer at 127.0.0.9:443', 'a load balancer');
  const [none] = await addresses({ controller: 'none' });
  assert.is(none?.note, 'no ingress controller answers: ingress.controller is `none`');
});

test('the hosts and paths of an HTTPRoute, and of no route at all', async () => {
  const rules = [{ matches: [{ path: { value: '/admin' } }] }, {}];
  const metadata = { namespace: 'frontend', name: 'app1-front' };
  const spec = { hostnames: ['app1.test', 'other.test'], rules };
  reached(nodePort, [{ kind: 'HTTPRoute', metadata, spec }]);
  const shown = (await addresses({ kind: 'httproute' })).map(({ name, address }) => `${name} ${address}`);
  const expected = spec.hostnames.map((host) => `frontend/app1-front https://${host}:30443/admin`);
  assert.equal(shown, expected);
  reached(undefined, []);
  assert.equal(await addresses(), []);
});

const file = join(project.folder, '..', 'applied');
type Made = { metadata: { name: string }; type: string };
const applied = () => JSON.parse(readFileSync(file, 'utf8')).items;

const cluster = (secrets = `cat ${file} 2> /dev/null || ${listing()}`) =>
  project.script('kubectl', { apply: `cat > ${file}`, 'get secrets': secrets });

const releases = ['app1-back', 'app1-front', 'app2-front'].map((name) => ({ name })) as Release[];
const ensure = (tls: Ingress['tls'] = {}) =>
  ensureRouteCertificates(withSettings({ ingress: { tls } }), releases);

test('each front gets its own Secret, on stdin; none is written twice, unless others changed it', async () => {
  rmSync(file, { force: true });
  cluster();
  assert.is(await ensure(), 'changed');
  const items = applied();
  const made = items.map(({ metadata, type }: Made) => `${metadata.name} ${type}`);
  assert.equal(made, ['app1-front-tls kubernetes.io/tls', 'app2-front-tls kubernetes.io/tls']);
  const key = readFileSync(join(context.environment.state, 'certificates/app1-front.key'), 'base64');
  assert.is(items[0].data['tls.key'], key);
  assert.ok(context.secrets.includes(key), 'the key is redacted');
  assert.ok(project.calls().every((line) => !line.includes(key)));
  assert.is(await ensure(), 'unchanged');
  items[1].data['tls.crt'] = 'other';
  cluster(printing({ items }));
  assert.is(await ensure(), 'changed');
  assert.is(applied().length, 1);
});

test('without TLS, or with other certificates, no Secret is written', async () => {
  cluster();
  project.forget();
  for (const tls of [{ enabled: false }, { existingSecret: 'wildcard' }, { clusterIssuer: 'letsencrypt' }])
    assert.is(await ensure(tls), 'unchanged');
  assert.equal(project.calls(), []);
});

test('the certificate of an uninstalled application is removed', async () => {
  cluster();
  await removeRouteCertificates(context, releases);
  const removal = / -n frontend delete secret app1-front-tls app2-front-tls --ignore-not-found$/;
  assert.is(project.calls(removal).length, 1);
});

test.run();
