import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import type { RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/ingress/addresses.ts');
  environment: Environment;
  settings: Settings;
  context: RecordedContext;
  node: Server;
};

const test = suite<State>('addresses');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('ingress/addresses.ts');
  state.environment = await state.clone.environment('minikube');
  const { loadSettings } =
    await state.clone.lib<typeof import('../../../lib/settings/settings.ts')>('settings/settings.ts');
  state.settings = await loadSettings('development', 'minikube');
  state.node = createServer().listen(0, '127.0.0.1');
  await once(state.node, 'listening');
});
test.before.each(async (state) => {
  state.context = await state.clone.context('minikube');
});
test.after(({ clone, node }) => {
  node.close();
  clone.remove();
});

const route = (namespace: string, name: string, host: string, path: string) => ({
  kind: 'Ingress',
  metadata: { namespace, name },
  spec: { tls: [{}], rules: [{ host, http: { paths: [{ path }] } }] },
});
const routes = [
  route('frontend', 'app1-front-admin', 'app1.test', '/admin'),
  route('frontend', 'app2-front-public', 'app2.test', '/'),
  route('other', 'foreign', 'foreign.test', '/'),
];

/** The routes, and a controller at this port of a node; without one it is a Service inside the cluster. */
function cluster({ clone }: State, nodePort: number | undefined, items: readonly object[] = routes): void {
  const ports = [80, 443].map((port) => (nodePort === undefined ? { port } : { port, nodePort }));
  const service = { metadata: { name: 'traefik' }, spec: { ports } };
  const pod = { status: { hostIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] } };
  const print = (list: readonly object[]) => `echo '${JSON.stringify({ items: list })}'`;
  clone.script(
    'kubectl',
    `case "$*" in *"get services"*) ${print([service])};; *"get pods"*) ${print([pod])};; *) ${print(items)};; esac`,
  );
}

const addresses = (
  { lib, environment, settings, context }: State,
  ingress: Partial<Settings['ingress']> = {},
) =>
  lib.routeAddresses({
    ...context,
    environment,
    settings: { ...settings, ingress: { ...settings.ingress, ...ingress } },
  });

test('the URLs of our routes have the port of the redirect, and a note says where they are served', async (state) => {
  const { port } = state.node.address() as AddressInfo;
  cluster(state, port);
  const note = `served at 127.0.0.1:${port}; without DNS, add to /etc/hosts: 127.0.0.1 app1.test app2.test`;
  assert.equal(await addresses(state), [
    { name: 'frontend/app1-front-admin', address: 'https://app1.test:30443/admin', note },
    { name: 'frontend/app2-front-public', address: 'https://app2.test:30443/', note },
    { name: 'other/foreign', address: 'https://foreign.test/' },
  ]);
  const [nginx] = await addresses(state, { controller: 'nginx' });
  assert.is(nginx?.address, `https://app1.test:${port}/admin`);
});

test('where no node answers from here, or none is asked, the note is the command that forwards the port', async (state) => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  cluster(state, port);
  const [first] = await addresses(state);
  assert.is(first?.address, 'https://app1.test:30443/admin');
  const { context } = state.environment;
  assert.is(
    first?.note,
    `the ingress controller does not answer at 127.0.0.1:${port}; forward a port: kubectl --kubeconfig .state/development/kubeconfig --context ${context} -n ingress port-forward svc/traefik 30443:443; and add to /etc/hosts: 127.0.0.1 app1.test app2.test`,
  );
  cluster(state, undefined);
  const { tls } = state.settings.ingress;
  const [plain] = await addresses(state, { tls: { ...tls, port: 443 } });
  assert.is(plain?.address, 'https://app1.test/admin');
  assert.match(
    plain?.note ?? '',
    /has no address outside the cluster; forward a port \(as root\): .* 443:443; /,
  );
});

test('without a controller the note says so', async (state) => {
  cluster(state, undefined);
  const [first] = await addresses(state, { controller: 'none' });
  assert.is(first?.note, 'no ingress controller answers: ingress.controller is `none`');
});

test('the hosts and paths of an HTTPRoute, and of no route at all', async (state) => {
  const item = {
    kind: 'HTTPRoute',
    metadata: { namespace: 'frontend', name: 'app1-front' },
    spec: { hostnames: ['app1.test'], rules: [{ matches: [{ path: { value: '/admin' } }] }, {}] },
  };
  cluster(state, (state.node.address() as AddressInfo).port, [item]);
  const found = await addresses(state, { kind: 'httproute' });
  assert.equal(
    found.map(({ name, address }) => `${name} ${address}`),
    ['frontend/app1-front https://app1.test:30443/admin'],
  );
  cluster(state, undefined, []);
  assert.equal(await addresses(state), []);
});

test('the dry run names what is read', ({ lib, environment, settings }) => {
  const kubectl = `kubectl --kubeconfig .state/development/kubeconfig --context ${environment.context}`;
  assert.equal(lib.routeCommands({ environment, settings }), [
    `${kubectl} get ingresses --all-namespaces`,
    `${kubectl} -n ingress get services,pods -l app.kubernetes.io/name=traefik`,
  ]);
});

test.run();
