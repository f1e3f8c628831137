import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureCertificate } from '../../../lib/certificates/certificates.ts';
import { poll } from '../../../lib/ground/poll.ts';
import { checkSite, siteOf } from '../../../lib/ingress/test.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { type KubernetesObject, render, type Tree } from '../../charts/render.ts';
import { root } from '../../charts/tools.ts';
import { findProgram } from '../../rig/programs.ts';
import { settledContext, taskContext } from '../../rig/task-context.ts';
import { type ApiServer, list, startApiServer } from '../api-server.ts';

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
if (!possible) process.stdout.write('left out: routes in a real Traefik (TRAEFIK_PATH, or on PATH)\n');

const suited = suite('Traefik');
const test = possible ? suited : suited.skip;
const context = taskContext({ env: 'development', provider: 'existing', context: 'some-context' });

const host = 'app1-front.development.k8s-deployment.test';
/** Callers: the first may call /admin, the second the internal route, both the public one. */
const [administrator, inside, stranger, proxy] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.9'];

let api: ApiServer;
let traefik: ChildProcess | undefined;
let log = '';
let ports = { http: 0, https: 0 };
let authority = '';
const reached: string[] = [];
const front = createServer((request, response) => {
  reached.push(`${request.url} ${request.headers['x-ingress-route']}`);
  response.end(`X-Forwarded-For: ${request.headers['x-forwarded-for']}\n`);
});

const chart = (values: Tree) => render('traefik', { release: 'traefik', namespace: 'ingress', values });

const argumentsIn = (objects: readonly KubernetesObject[]): string[] =>
  objects.find(({ kind }) => kind === 'Deployment')?.spec.template.spec.containers[0].args;

suited('its arguments are those of the chart', async () => {
  const strict = '--providers.kubernetesingress.strictprefixmatching=true';
  assert.ok(argumentsIn(await chart({})).includes(strict));
});

const apply = (objects: readonly object[]) =>
  api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(objects));

async function startTraefik(values: Tree): Promise<void> {
  await stopTraefik();
  const objects = await chart(values);
  await apply(objects);
  const token = join(api.folder, 'token');
  await writeFile(token, (await api.kubectl(['-n', 'ingress', 'create', 'token', 'traefik'])).trim());
  ports = { http: await freePort(), https: await freePort() };
  const own: Record<string, number> = { 8000: ports.http, 8443: ports.https, 8080: await freePort() };
  const args = argumentsIn(objects).map((argument) =>
    argument.replace(/=:(\d+)$/, (_, port: string) => `=127.0.0.1:${own[port]}`),
  );
  const access = args
    .flatMap((argument) => /^--providers\.kubernetes\w+(?==true$)/.exec(argument)?.[0] ?? [])
    .flatMap((provider) => [
      `${provider}.endpoint=${api.address}`,
      `${provider}.token=${token}`,
      `${provider}.certauthfilepath=${api.authority}`,
    ]);
  const child = spawn(program ?? '', [...args, ...access], {
    cwd: api.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  traefik = child;
  log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log += chunk;
    });
}

async function stopTraefik(): Promise<void> {
  if (traefik === undefined || traefik.exitCode !== null) return;
  traefik.kill('SIGTERM');
  await once(traefik, 'exit');
}

const routeKinds = ['Ingress', 'Middleware', 'HTTPRoute', 'ReferenceGrant'];

/** Applies the routes of app1-front, as its chart renders them, with the replaced front behind its Service. */
async function applyRoutes(ingress: Tree): Promise<void> {
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
    metadata: { ...service.metadata, labels: { 'kubernetes.io/service-name': 'app1-front' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: (front.address() as AddressInfo).port, protocol: 'TCP' }],
    endpoints: [{ addresses: [outside], conditions: { ready: true } }],
  };
  const { selector, ...spec } = service.spec;
  await apply([...objects.filter(({ kind }) => routeKinds.includes(kind)), { ...service, spec }, slice]);
}

suited.before(async () => {
  if (!possible) return;
  api = await startApiServer();
  const server = await ensureCertificate(
    { ...context, environment: { ...context.environment, state: api.folder } },
    { name: 'app1-front', hosts: [host] },
  );
  authority = await readFile(server.authority, 'utf8');
  await once(front.listen(0, outside), 'listening');
  for (const namespace of ['ingress', 'frontend']) await api.kubectl(['create', 'namespace', namespace]);
  await api.kubectl(['apply', '--server-side', '-f', join(root, 'charts/traefik/crds')]);
  await api.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  const files = [`--cert=${server.certificate}`, `--key=${server.key}`];
  await api.kubectl(['-n', 'frontend', 'create', 'secret', 'tls', 'app1-front-tls', ...files]);
});

suited.after(async () => {
  await stopTraefik();
  front.close();
  await api?.stop();
});

suited.before.each(() => {
  reached.length = 0;
});

type Asked = {
  readonly from?: string;
  readonly headers?: Record<string, string>;
  readonly plain?: boolean;
  /** The client that a load balancer names by the PROXY protocol, version 1. */
  readonly client?: string;
};

/** Status of a request from a loopback address, and the `location` of a redirect. */
async function ask(path: string, { from = stranger, headers = {}, plain = false, client }: Asked = {}) {
  const options = { host: '127.0.0.1', localAddress: from };
  const socket = plain
    ? connect({ ...options, port: ports.http })
    : connectTls({ ...options, port: ports.https, servername: host, ca: authority });
  const named = client === undefined ? [] : [`PROXY TCP4 ${client} 127.0.0.1 40000 80`];
  const fields = Object.entries({ host, ...headers, connection: 'close' });
  const lines = [...named, `GET ${path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`)];
  socket.setTimeout(60_000, () => socket.destroy(new Error('no answer within a minute')));
  socket.write([...lines, '\r\n'].join('\r\n'));
  const answer = await text(socket);
  return [/ (\d+)/, /^location: (.*)\r$/im].flatMap((found) => found.exec(answer)?.[1] ?? []).join(' ');
}

/** Waits until an answer is this one: Traefik applies changes after a moment, and not all at once. */
async function until(answer: () => Promise<string>, wanted: string): Promise<void> {
  let last = '';
  const isWanted = async () => {
    last = await answer().catch(String);
    return last === wanted || undefined;
  };
  assert.ok(await poll(isWanted, 120_000), `${last}, expected ${wanted}\n${log.slice(-2000)}`);
}

test('each route allows only its source ranges, with a certificate of the environment', async () => {
  await applyRoutes({});
  await startTraefik({});
  await until(() => ask('/admin', { from: administrator }), '200');
  for (const path of ['/', '/api', '/administrator']) assert.is(await ask(path), '200', path);
  for (const path of ['/admin', '/admin/users?x', '/api/internal', '/api/internal/x'])
    assert.is(await ask(path), '403', path);
  assert.is(await ask('/api/internal', { from: inside }), '200');
  assert.is(await ask('/admin', { from: inside }), '403');
  assert.is(await ask('/api/internal', { from: administrator }), '403');
  assert.is(await ask('/', { plain: true }), `301 https://${host}/`);
  assert.is(await ask('/admin', { plain: true }), `301 https://${host}/admin`);
});

test('no other spelling of a restricted path passes any route', async () => {
  for (const path of ['/%61dmin', '//admin', '/./admin', '/x/../admin', '/api//internal', '/api/%69nternal'])
    assert.match(await ask(path), /^(?:403|404|400)/, path);
  for (const path of ['/x/..%2fadmin', '/api%2finternal', '/admin%00', '/x%5c..%5cadmin'])
    assert.match(await ask(path), /^400/, path);
  assert.equal(reached, []);
});

test('forged client addresses and route headers have no effect', async () => {
  const headers = {
    'X-Forwarded-For': administrator,
    'X-Real-Ip': administrator,
    'X-Ingress-Route': 'admin',
  };
  assert.is(await ask('/admin', { headers }), '403');
  assert.is(await ask('/', { headers }), '200');
  assert.is(await ask('/admin', { from: administrator }), '200');
  assert.equal(reached, ['/ public', '/admin admin']);
});

for (const [provider, port] of [
  ['minikube', 30443],
  ['existing', 443],
] as const)
  test(`test-ingress finds every route as expected, redirected to port ${port}`, async () => {
    await applyRoutes({ tls: { enabled: true, port } });
    const objects = await api.kubectl(['-n', 'frontend', 'get', 'ingress,middleware', '-o', 'json']);
    const site = siteOf(JSON.parse(objects).items);
    assert.ok(site);
    const check = async () => {
      const context = await settledContext({ provider, context: 'some-context' });
      const problems = await checkSite({
        ...{ site, authority, context },
        entrance: { address: '127.0.0.1', ...ports },
        wanted: { app: 'app1', path: undefined, expect: undefined },
      });
      return [...problems, `${context.logged.length} as expected`].join('\n');
    };
    await until(check, '4 as expected');
  });

test('a restricted path without its middleware arrives through the public route, named in the header', async () => {
  await api.kubectl(['-n', 'frontend', 'delete', 'middleware', 'app1-front-admin']);
  await until(() => ask('/admin'), '200');
  assert.is(reached.at(-1), '/admin public');
});

test('behind a proxy, the source ranges apply to the forwarded address', async () => {
  await applyRoutes({ forwardedDepth: 1 });
  await startTraefik({ trustedProxies: [`${proxy}/32`] });
  const forwarded = (...addresses: string[]): Asked => ({
    from: proxy,
    headers: { 'X-Forwarded-For': addresses.join(', ') },
  });
  await until(() => ask('/admin', forwarded(administrator)), '200');
  assert.is(await ask('/admin', forwarded(stranger)), '403');
  // an entry that the client added before the proxy's entry
  assert.is(await ask('/admin', forwarded(administrator, stranger)), '403');
  // a client that is not a proxy is not trusted
  assert.is(await ask('/admin', { headers: { 'X-Forwarded-For': administrator } }), '403');
  assert.is(await ask('/', forwarded(stranger)), '200');
});

test('behind a load balancer with the PROXY protocol, the source ranges apply to the client that it names', async () => {
  await applyRoutes({ tls: { enabled: false } });
  await startTraefik({ proxyProtocol: [`${proxy}/32`] });
  await until(() => ask('/admin', { from: proxy, client: administrator, plain: true }), '200');
  assert.is(await ask('/admin', { from: proxy, client: stranger, plain: true }), '403');
  // of anybody else it is not believed
  assert.is(await ask('/admin', { from: stranger, client: administrator, plain: true }), '403');
});

suited.run();
