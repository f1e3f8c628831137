import { createServer, type Server } from 'node:net';
import * as assert from 'uvu/assert';
import { routeAddresses } from '../../../lib/ingress/addresses.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { portOf } from '../../rig/loopback.ts';
import { context, listing, scriptedSuite } from '../../rig/scripted-folder.ts';

const { test, project } = scriptedSuite('addresses', 'minikube', 'environments');
let node: Server;
let nodePort: number;

test.before(async () => {
  node = createServer();
  nodePort = await portOf(node);
});
test.after(() => void node.close());

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

/** The routes, and a controller at this port of a node; without one it is a Service inside the cluster. */
function cluster(nodePort: number | undefined, items: readonly object[] = routes): void {
  const ports = [80, 443].map((port) => (nodePort === undefined ? { port } : { port, nodePort }));
  project.script('kubectl', {
    'get services': listing({ metadata: { name: 'traefik' }, spec: { ports } }),
    'get pods': listing({ status: { hostIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] } }),
    '': listing(...items),
  });
}

const addresses = (change: Partial<Settings['ingress']> = {}) => {
  const { settings } = context;
  return routeAddresses({
    ...context,
    settings: { ...settings, ingress: { ...settings.ingress, ...change } },
  });
};

test('the URLs have the port of the redirect, and a note names the serving address', async () => {
  cluster(nodePort);
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
  cluster(port);
  const [first] = await addresses();
  assert.is(first?.address, 'https://app1.test:30443/admin');
  const kubectl = `kubectl --kubeconfig .state/development/kubeconfig --context ${context.environment.context}`;
  assert.is(
    first?.note,
    `the ingress controller does not answer at 127.0.0.1:${port}; forward a port: ${kubectl} -n ingress port-forward svc/traefik 30443:443; and add to /etc/hosts: 127.0.0.1 app1.test app2.test`,
  );
  cluster(undefined);
  const [plain] = await addresses({ tls: { ...context.settings.ingress.tls, port: 443 } });
  assert.is(plain?.address, 'https://app1.test/admin');
  const asRoot = /has no address outside the cluster; forward a port \(as root\): .* 443:443; /;
  assert.match(plain?.note ?? '', asRoot);
  const [none] = await addresses({ controller: 'none' });
  assert.is(none?.note, 'no ingress controller answers: ingress.controller is `none`');
});

test('the hosts and paths of an HTTPRoute, and of no route at all', async () => {
  const rules = [{ matches: [{ path: { value: '/admin' } }] }, {}];
  const metadata = { namespace: 'frontend', name: 'app1-front' };
  const spec = { hostnames: ['app1.test', 'other.test'], rules };
  cluster(nodePort, [{ kind: 'HTTPRoute', metadata, spec }]);
  assert.equal(
    (await addresses({ kind: 'httproute' })).map(({ name, address }) => `${name} ${address}`),
    ['app1.test', 'other.test'].map((host) => `frontend/app1-front https://${host}:30443/admin`),
  );
  cluster(undefined, []);
  assert.equal(await addresses(), []);
});

test.run();
