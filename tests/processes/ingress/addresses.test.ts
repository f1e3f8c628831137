import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { routeAddresses } from '../../../lib/ingress/addresses.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';

const test = suite<{ context: CloneContext; node: Server }>('addresses');
const project = scriptedFolder('environments');

test.before(async (state) => {
  state.node = createServer().listen(0, '127.0.0.1');
  await once(state.node, 'listening');
});
test.before.each(async (state) => {
  state.context = await project.context('minikube');
});
test.after(({ node }) => {
  node.close();
  project.remove();
});

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
  const service = { metadata: { name: 'traefik' }, spec: { ports } };
  const pod = { status: { hostIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] } };
  const print = (list: readonly object[]) => `echo '${JSON.stringify({ items: list })}'`;
  project.script(
    'kubectl',
    `case "$*" in *"get services"*) ${print([service])};; *"get pods"*) ${print([pod])};; *) ${print(items)};; esac`,
  );
}

const addresses = ({ settings, ...context }: CloneContext, ingress: Partial<Settings['ingress']> = {}) =>
  routeAddresses({ ...context, settings: { ...settings, ingress: { ...settings.ingress, ...ingress } } });

test('the URLs have the port of the redirect, and a note names the serving address', async (state) => {
  const { port } = state.node.address() as AddressInfo;
  cluster(port);
  const note = `served at 127.0.0.1:${port}; without DNS, add to /etc/hosts: 127.0.0.1 app1.test app2.test`;
  assert.equal(await addresses(state.context), [
    { name: 'frontend/app1-front-admin', address: 'https://app1.test:30443/admin', note },
    { name: 'frontend/app2-front-public', address: 'https://app2.test:30443/', note },
    { name: 'other/foreign', address: 'https://*/' },
  ]);
  const [nginx] = await addresses(state.context, { controller: 'nginx' });
  assert.is(nginx?.address, `https://app1.test:${port}/admin`);
});

test('if no node answers from here, the note is the command that forwards the port', async (state) => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  cluster(port);
  const [first] = await addresses(state.context);
  assert.is(first?.address, 'https://app1.test:30443/admin');
  const { context } = state.context.environment;
  assert.is(
    first?.note,
    `the ingress controller does not answer at 127.0.0.1:${port}; forward a port: kubectl --kubeconfig .state/development/kubeconfig --context ${context} -n ingress port-forward svc/traefik 30443:443; and add to /etc/hosts: 127.0.0.1 app1.test app2.test`,
  );
  cluster(undefined);
  const { tls } = state.context.settings.ingress;
  const [plain] = await addresses(state.context, { tls: { ...tls, port: 443 } });
  assert.is(plain?.address, 'https://app1.test/admin');
  assert.match(
    plain?.note ?? '',
    /has no address outside the cluster; forward a port \(as root\): .* 443:443; /,
  );
});

test('without a controller the note says so', async (state) => {
  cluster(undefined);
  const [first] = await addresses(state.context, { controller: 'none' });
  assert.is(first?.note, 'no ingress controller answers: ingress.controller is `none`');
});

test('the hosts and paths of an HTTPRoute, and of no route at all', async (state) => {
  const item = {
    kind: 'HTTPRoute',
    metadata: { namespace: 'frontend', name: 'app1-front' },
    spec: {
      hostnames: ['app1.test', 'other.test'],
      rules: [{ matches: [{ path: { value: '/admin' } }] }, {}],
    },
  };
  cluster((state.node.address() as AddressInfo).port, [item]);
  const found = await addresses(state.context, { kind: 'httproute' });
  assert.equal(
    found.map(({ name, address }) => `${name} ${address}`),
    ['app1.test', 'other.test'].map((host) => `frontend/app1-front https://${host}:30443/admin`),
  );
  cluster(undefined, []);
  assert.equal(await addresses(state.context), []);
});

test.run();
