import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request as requestHttp, type Server } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureCertificate } from '../../../lib/certificates/certificates.ts';
import { siteOf } from '../../../lib/ingress/routes.ts';
import { checkSite } from '../../../lib/ingress/test.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { type KubernetesObject, render, type Tree } from '../../charts/render.ts';
import { root } from '../../charts/tools.ts';
import { findProgram } from '../../rig/find-program.ts';
import { taskContext } from '../../rig/task-context.ts';
import { type ApiServer, startApiServer } from '../api-server.ts';

/*
 * Routes, source ranges, redirects and certificates in a real Traefik, started with the arguments and the RBAC that the
 * chart sets, reading the objects of the fronts from a real API server. The front is replaced by a server that records
 * which requests arrive; callers have loopback addresses.
 */

const program = findProgram('TRAEFIK_PATH', 'traefik');
// The API refuses loopback endpoints.
const outside = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
const possible = program !== undefined && outside !== undefined;
if (!possible)
  process.stdout.write(
    'left out: routes in a real Traefik, since there is none (TRAEFIK_PATH, or on PATH)\n',
  );

type State = {
  /** Holds the certificates. */
  folder: string;
  api: ApiServer;
  front: Server;
  reached: string[];
  traefik: ChildProcess | undefined;
  log: string;
  http: number;
  https: number;
  authority: string;
};

const traefikSuite = suite<State>('Traefik');
const test = possible ? traefikSuite : traefikSuite.skip;

const host = 'app1-front.development.k8s-deployment.test';
/** Callers: the first may call /admin, the second the internal route, both the public one. */
const [administrator, inside, stranger, proxy] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.9'];

traefikSuite('its arguments are those of the chart', async () => {
  const args = await traefikArguments({});
  assert.ok(args.includes('--providers.kubernetesingress.strictprefixmatching=true'));
});

/** The container's arguments, for an API server outside the cluster. */
async function traefikArguments(values: Tree): Promise<string[]> {
  const objects = await render('traefik', { release: 'traefik', namespace: 'ingress', values });
  const workload = objects.find(({ kind }) => kind === 'Deployment');
  return workload?.spec.template.spec.containers[0].args;
}

async function startTraefik(state: State, values: Tree): Promise<void> {
  await stopTraefik(state);
  const { api } = state;
  const objects = await render('traefik', { release: 'traefik', namespace: 'ingress', values });
  await api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(objects));
  const token = (await api.kubectl(['-n', 'ingress', 'create', 'token', 'traefik'])).trim();
  await writeFile(join(api.folder, 'token'), token, { mode: 0o600 });
  state.http = await freePort();
  state.https = await freePort();
  const ports: Record<string, number> = {
    ':8000': state.http,
    ':8443': state.https,
    ':8080': await freePort(),
  };
  const args = (await traefikArguments(values)).map((argument) =>
    argument.replace(/=(:\d+)$/, (_, port: string) => `=127.0.0.1:${ports[port]}`),
  );
  const providers = args.flatMap(
    (argument) => /^--providers\.(kubernetes\w+)=true$/.exec(argument)?.[1] ?? [],
  );
  const access = providers.flatMap((provider) => [
    `--providers.${provider}.endpoint=${api.address}`,
    `--providers.${provider}.token=${join(api.folder, 'token')}`,
    `--providers.${provider}.certauthfilepath=${api.authority}`,
  ]);
  const child = spawn(program ?? '', [...args, ...access], {
    cwd: api.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  state.traefik = child;
  state.log = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      state.log += chunk;
    });
}

async function stopTraefik(state: State): Promise<void> {
  const child = state.traefik;
  state.traefik = undefined;
  if (!child || child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

const list = (items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

const routeKinds = ['Ingress', 'Middleware', 'HTTPRoute', 'ReferenceGrant'];

/** Applies the routes of app1-front, as its chart renders them, with the replaced front behind its Service. */
async function applyRoutes({ api, front }: State, ingress: Tree): Promise<void> {
  const values = {
    backend: { release: 'app1-back' },
    ingress: {
      host,
      adminWhitelist: [`${administrator}/32`],
      internalWhitelist: [`${inside}/32`],
      tls: { enabled: true },
      ...ingress,
    },
  };
  const objects = await render('frontend', { release: 'app1-front', namespace: 'frontend', values });
  await api.kubectl(['-n', 'frontend', 'delete', 'ingress,middleware', '--all']);
  const service = objects.find(({ kind }) => kind === 'Service') as KubernetesObject;
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'app1-front',
      namespace: 'frontend',
      labels: { 'kubernetes.io/service-name': 'app1-front' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: (front.address() as AddressInfo).port, protocol: 'TCP' }],
    endpoints: [{ addresses: [outside], conditions: { ready: true } }],
  };
  const { selector, ...spec } = service.spec;
  const wanted = [...objects.filter(({ kind }) => routeKinds.includes(kind)), { ...service, spec }, slice];
  await api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(wanted));
}

traefikSuite.before(async (state) => {
  state.reached = [];
  state.log = '';
  if (!possible) return;
  state.api = await startApiServer();
  const { api } = state;
  state.folder = mkdtempSync(join(tmpdir(), 'traefik-'));
  const context = taskContext({ env: 'development', provider: 'existing', context: 'some-context' });
  const { authority, certificate, key } = await ensureCertificate(
    { ...context, environment: { ...context.environment, state: state.folder } },
    { name: 'app1-front', hosts: [host] },
  );
  state.authority = await readFile(authority, 'utf8');
  state.front = createServer((request, response) => {
    state.reached.push(`${request.url} ${request.headers['x-ingress-route']}`);
    response.end(`X-Forwarded-For: ${request.headers['x-forwarded-for']}\n`);
  }).listen(0, outside);
  await once(state.front, 'listening');
  for (const namespace of ['ingress', 'frontend']) await api.kubectl(['create', 'namespace', namespace]);
  await api.kubectl(['apply', '--server-side', '-f', join(root, 'charts/traefik/crds')]);
  await api.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'app1-front-tls', namespace: 'frontend' },
    data: {
      'tls.crt': readFileSync(certificate, 'base64'),
      'tls.key': readFileSync(key, 'base64'),
    },
  };
  await api.kubectl(['apply', '--server-side', '-f', '-'], list([secret]));
});

traefikSuite.after(async (state) => {
  await stopTraefik(state);
  state.front?.close();
  await state.api?.stop();
  if (state.folder) rmSync(state.folder, { recursive: true });
});

traefikSuite.before.each(({ reached }) => {
  reached.length = 0;
});

type Asked = { readonly from?: string; readonly headers?: Record<string, string>; readonly plain?: boolean };

/** Status of a request from a loopback address, and the `location` of a redirect. */
function ask(
  state: State,
  path: string,
  { from = stranger, headers = {}, plain = false }: Asked = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      localAddress: from,
      path,
      headers: { host, ...headers },
      agent: false,
      timeout: 10_000,
    };
    const sent = plain
      ? requestHttp({ ...options, port: state.http })
      : requestHttps({ ...options, port: state.https, servername: host, ca: state.authority });
    sent.on('response', (response: IncomingMessage) => {
      response.resume();
      resolve([response.statusCode, response.headers.location].filter(Boolean).join(' '));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer within 10 s')));
    sent.on('error', reject);
    sent.end();
  });
}

/** Waits until a path answers like this, because Traefik applies changes after a moment. */
async function until(state: State, path: string, status: string, asked: Asked = {}): Promise<void> {
  const deadline = Date.now() + 60_000;
  let last = '';
  while (Date.now() < deadline) {
    last = await ask(state, path, asked).catch((error: Error) => error.message);
    if (last === status) return;
    await delay(200);
  }
  throw new Error(`${path} answers ${last}, expected ${status}\n${state.log.slice(-2000)}`);
}

test('each route allows only its source ranges, with a certificate of the environment', async (state) => {
  await applyRoutes(state, {});
  await startTraefik(state, {});
  await until(state, '/admin', '200', { from: administrator });
  for (const path of ['/', '/api', '/administrator']) assert.is(await ask(state, path), '200', path);
  for (const path of ['/admin', '/admin/users?x', '/api/internal', '/api/internal/x'])
    assert.is(await ask(state, path), '403', path);
  assert.is(await ask(state, '/api/internal', { from: inside }), '200');
  assert.is(await ask(state, '/admin', { from: inside }), '403');
  assert.is(await ask(state, '/api/internal', { from: administrator }), '403');
  assert.is(await ask(state, '/', { plain: true }), `301 https://${host}/`);
  assert.is(await ask(state, '/admin', { plain: true }), `301 https://${host}/admin`);
});

test('no other spelling of a restricted path passes any route', async (state) => {
  for (const path of ['/%61dmin', '//admin', '/./admin', '/x/../admin', '/api//internal', '/api/%69nternal'])
    assert.match(await ask(state, path), /^(?:403|404|400)/, path);
  for (const path of ['/x/..%2fadmin', '/api%2finternal', '/admin%00', '/x%5c..%5cadmin'])
    assert.match(await ask(state, path), /^400/, path);
  assert.equal(state.reached, []);
});

test('forged client addresses and route headers have no effect', async (state) => {
  const headers = {
    'X-Forwarded-For': administrator,
    'X-Real-Ip': administrator,
    'X-Ingress-Route': 'admin',
  };
  assert.is(await ask(state, '/admin', { headers }), '403');
  assert.is(await ask(state, '/', { headers }), '200');
  assert.is(await ask(state, '/admin', { from: administrator }), '200');
  assert.equal(state.reached, ['/ public', '/admin admin']);
});

for (const [provider, port] of [
  ['minikube', 30443],
  ['existing', 443],
] as const)
  test(`test-ingress finds every route as expected, redirected to port ${port}`, async (state) => {
    const { http } = state;
    await applyRoutes(state, { tls: { enabled: true, port } });
    const { origin } = new URL(`https://${host}:${port}`);
    await until(state, '/admin', `301 ${origin}/admin`, {
      plain: true,
      headers: { host: `${host}:${http}` },
    });
    await checkRoutes(state, provider);
  });

async function checkRoutes(state: State, provider: 'existing' | 'minikube'): Promise<void> {
  const { api } = state;
  const objects = await api.kubectl(['-n', 'frontend', 'get', 'ingress,middleware', '-o', 'json']);
  const site = siteOf(JSON.parse(objects).items, await loadSettings({ name: 'development', provider }));
  if (!site) throw new Error('expected routes');
  const context = taskContext({ env: 'development', provider, context: 'some-context' });
  const problems = await checkSite({
    site,
    entrance: { address: '127.0.0.1', http: state.http, https: state.https },
    authority: state.authority,
    wanted: { app: 'app1', path: undefined, expect: undefined },
    context,
  });
  assert.equal(problems, []);
  assert.is(context.logged.length, 4);
}

test('a restricted path without its middleware arrives through the public route, named in the header', async (state) => {
  await state.api.kubectl(['-n', 'frontend', 'delete', 'middleware', 'app1-front-admin']);
  await until(state, '/admin', '200');
  assert.is(state.reached.at(-1), '/admin public');
});

test('behind a proxy, the source ranges apply to the forwarded address', async (state) => {
  await applyRoutes(state, { forwardedDepth: 1 });
  await startTraefik(state, { trustedProxies: [`${proxy}/32`] });
  const forwarded = (...addresses: string[]): Asked => ({
    from: proxy,
    headers: { 'X-Forwarded-For': addresses.join(', ') },
  });
  await until(state, '/admin', '200', forwarded(administrator));
  assert.is(await ask(state, '/admin', forwarded(stranger)), '403');
  // an entry that the client added before the proxy's entry
  assert.is(await ask(state, '/admin', forwarded(administrator, stranger)), '403');
  // a client that is not a proxy is not trusted
  assert.is(await ask(state, '/admin', { headers: { 'X-Forwarded-For': administrator } }), '403');
  assert.is(await ask(state, '/', forwarded(stranger)), '200');
});

/** The status of a request that a load balancer passes on by the PROXY protocol, version 1, naming the client. */
function askByProxyProtocol({ http }: State, from: string, client: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: http, localAddress: from });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer.split(' ')[1] ?? ''));
    socket.write(
      `PROXY TCP4 ${client} 127.0.0.1 40000 80\r\nGET /admin HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
  });
}

test('behind a load balancer with the PROXY protocol, the source ranges apply to the client that it names', async (state) => {
  await applyRoutes(state, { tls: { enabled: false } });
  await startTraefik(state, { proxyProtocol: [`${proxy}/32`] });
  await until(state, '/admin', '200', { from: administrator, plain: true });
  assert.is(await askByProxyProtocol(state, proxy, administrator), '200');
  assert.is(await askByProxyProtocol(state, proxy, stranger), '403');
  // of anybody else it is not believed
  assert.is(await askByProxyProtocol(state, stranger, administrator), '403');
});

traefikSuite.run();
