import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureCertificate } from '../../../lib/certificates/certificates.ts';
import type { Site } from '../../../lib/ingress/routes.ts';
import { checkSite, testIngress, type Wanted } from '../../../lib/ingress/test.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

/* A real server instead of the ingress controller: how its answers are judged, and the errors. */

type State = {
  context: CloneContext;
  files: { certificate: string; key: string; authority: string };
  servers: Server[];
};

const test = suite<State>('test-ingress');
const project = scriptedFolder('environments', 'lib/certificates/certificates.cnf');
const host = 'app1-front.development.k8s-deployment.test';
const request = { name: 'app1-front', hosts: [host] };

test.before(async (state) => {
  state.files = await ensureCertificate(await project.context('existing'), request);
});
test.before.each(async (state) => {
  state.context = await project.context('existing');
  state.servers = [];
});
test.after.each(({ servers }) => {
  for (const server of servers) server.close();
});
test.after(project.remove);

async function listen({ servers }: State, server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A controller with these answers; as Traefik does, it redirects to its own port what names another one in `Host`. */
const controller =
  (statuses: { readonly [path: string]: number }, body = '', port?: number): RequestListener =>
  (request, response) => {
    const own = new URL(`https://${host}:${port ?? request.socket.localPort}`).host;
    if (request.headers.host !== own) response.writeHead(301, { location: `https://${own}${request.url}` });
    else response.writeHead(statuses[request.url ?? ''] ?? 404);
    response.end(body);
  };

const site = (tls: boolean, port?: number): Site => ({
  host,
  tls,
  port,
  published: undefined,
  routes: [
    { path: '/api/internal', ranges: ['127.0.0.0/8'] },
    { path: '/admin', ranges: ['10.0.0.0/8'] },
    { path: '/', ranges: ['0.0.0.0/0'] },
  ],
});

const asked: Wanted = { app: 'app1', path: undefined, expect: undefined };

/** What is wrong when HTTP alone is spoken. */
async function check(state: State, listener: RequestListener, wanted: Partial<Wanted> = {}) {
  const http = await listen(state, createHttp(listener));
  const entrance = { address: '127.0.0.1', http, https: undefined };
  const { context } = state;
  const problems = await checkSite({
    site: site(false),
    entrance,
    authority: undefined,
    wanted: { ...asked, ...wanted },
    context,
  });
  const plain = (line: string) => line.replace(`${host}:${http}`, host);
  context.logged.splice(0, context.logged.length, ...context.logged.map(plain));
  return problems.map(plain);
}

test('200 inside the ranges and 403 outside is expected', async (state) => {
  assert.equal(await check(state, controller({ '/': 200, '/admin': 403, '/api/internal': 200 })), []);
  assert.equal(state.context.logged, [
    `http://${host}/ answered 200 as expected: 127.0.0.1 is in 0.0.0.0/0`,
    `http://${host}/admin answered 403 as expected: 127.0.0.1 is outside 10.0.0.0/8`,
    `http://${host}/api/internal answered 200 as expected: 127.0.0.1 is in 127.0.0.0/8`,
  ]);
});

test('a route that answers differently is a problem, in both directions', async (state) => {
  assert.equal(await check(state, controller({ '/': 200, '/admin': 200, '/api/internal': 403 })), [
    `http://${host}/admin answered 200, expected 403: 127.0.0.1 is outside 10.0.0.0/8`,
    `http://${host}/api/internal answered 403, expected 200: 127.0.0.1 is in 127.0.0.0/8`,
  ]);
});

test('the address that the controller saw counts, if the backend shows it', async (state) => {
  const body = 'Hostname: app1-back\nX-Forwarded-For: 10.1.2.3, 10.244.0.9\n';
  const statuses = { '/': 200, '/admin': 200, '/api/internal': 403 };
  assert.equal(await check(state, controller(statuses, body)), []);
});

test('one path is judged by its route', async (state) => {
  const statuses = { '/': 200, '/admin/users': 403, '/other': 503 };
  assert.equal(await check(state, controller(statuses), { path: '/admin/users' }), []);
  assert.match((await check(state, controller(statuses), { path: '/other' }))[0] ?? '', /503, expected 200/);
});

test('the expected status can be given', async (state) => {
  const statuses = { '/': 200, '/api?env': 404 };
  assert.equal(await check(state, controller(statuses), { path: '/api?env', expect: 404 }), []);
  assert.equal(await check(state, controller(statuses), { expect: 200 }), []);
  assert.equal(await check(state, controller(statuses), { expect: 403 }), [
    `http://${host}/ answered 200, expected 403`,
  ]);
});

/** What is wrong with a controller that speaks TLS, and HTTP in this way. */
async function checkTls(state: State, plain: RequestListener, port?: number) {
  const keys = { cert: readFileSync(state.files.certificate), key: readFileSync(state.files.key) };
  const listener = controller({ '/': 200, '/admin': 403, '/api/internal': 200 }, '', port);
  const https = await listen(state, createHttps(keys, listener));
  const http = await listen(state, createHttp(plain));
  const problems = await checkSite({
    site: site(true, port),
    entrance: { address: '127.0.0.1', http, https },
    authority: readFileSync(state.files.authority, 'utf8'),
    wanted: asked,
    context: state.context,
  });
  return problems.map((line) => line.replace(`:${http}/`, '/').replace(`:${https}`, ''));
}

const redirect =
  (location: string): RequestListener =>
  (_request, response) =>
    response.writeHead(301, { location }).end();

test('with TLS the certificate is checked by the environment’s authority, and HTTP has to redirect to HTTPS', async (state) => {
  assert.equal(await checkTls(state, redirect(`https://${host}:30443/`)), []);
  assert.match(state.context.logged.at(-1) ?? '', /^http:\S+ redirects to https:\S+:30443\/$/);
  assert.equal(await checkTls(state, redirect('http://other.test/')), [
    `http://${host}/ answered 301 with http://other.test/, expected a redirect to https://${host}`,
  ]);
  assert.equal(await checkTls(state, controller({ '/': 200 })), [
    `http://${host}/ answered 200, expected a redirect to https://${host}`,
  ]);
});

test('the port of Traefik’s redirect is sent in Host wherever Traefik listens, and HTTP has to redirect to it', async (state) => {
  assert.equal(await checkTls(state, redirect(`https://${host}:30443/`), 30443), []);
  assert.match(state.context.logged[0] ?? '', `https://${host}:30443/ answered 200`);
  assert.equal(await checkTls(state, redirect(`https://${host}/`), 443), []);
  assert.match(state.context.logged[4] ?? '', `https://${host}/ answered 200`);
  assert.equal(await checkTls(state, redirect(`https://${host}/`), 30443), [
    `http://${host}/ answered 301 with https://${host}/, expected a redirect to https://${host}:30443`,
  ]);
});

test('the default certificate of a controller is an error with advice', async (state) => {
  const authority = readFileSync(state.files.authority, 'utf8');
  rmSync(state.context.environment.state, { recursive: true, force: true });
  await ensureCertificate(state.context, request);
  const keys = { cert: readFileSync(state.files.certificate), key: readFileSync(state.files.key) };
  const https = await listen(state, createHttps(keys, controller({})));
  const entrance = { address: '127.0.0.1', http: undefined, https };
  const { context } = state;
  const failure = await failureOf(
    checkSite({ site: site(true), entrance, authority, wanted: asked, context }),
  );
  assert.match(failure.message, /the certificate of .* is not trusted/);
  assert.match(failure.advice ?? '', 'run `npx tsx tasks.ts install-tier apps`');
});

test('if nothing answers, the error names the address', async (state) => {
  const server = createHttp();
  const http = await listen(state, server);
  server.close();
  const entrance = { address: '127.0.0.1', http, https: undefined };
  const { context } = state;
  const failure = await failureOf(
    checkSite({ site: site(false), entrance, authority: undefined, wanted: asked, context }),
  );
  assert.match(failure.message, `cannot be reached at 127.0.0.1:${http}`);
  assert.match(failure.why ?? '', 'ECONNREFUSED');
});

/** By port of the Service, where a port-forward leads. */
type Forwards = { readonly [port: number]: number };

/** kubectl with these objects of the cluster. */
const cluster = (objects: {
  routes?: unknown[];
  services?: unknown[];
  pods?: unknown[];
  forwards?: Forwards;
}): void => {
  const forwards = Object.entries(objects.forwards ?? {}).map(
    ([port, local]) => `*"port-forward svc/traefik :${port} "*)
echo "Forwarding from 127.0.0.1:${local} -> ${port}"; exec sleep 1000;;`,
  );
  const list = (items: unknown[] = []) => `cat <<'END'\n${JSON.stringify({ items })}\nEND`;
  project.script(
    'kubectl',
    `case "$*" in
*ingresses.networking*) ${list(objects.routes)}
;;
*"get services"*) ${list(objects.services)}
;;
*"get pods"*) ${list(objects.pods)}
;;
${forwards.join('\n')}
esac`,
  );
};

const route = (path: string) => ({
  kind: 'Ingress',
  metadata: { name: `app1-front${path}` },
  spec: { rules: [{ host, http: { paths: [{ path }] } }] },
});

test('an application without routes and a cluster without a controller are errors with advice', async (state) => {
  cluster({});
  const absent = await failureOf(testIngress(state.context, asked));
  assert.match(absent.message, 'app1 has no route');
  assert.match(absent.advice ?? '', 'install-app app1');
  cluster({ routes: [route('/')] });
  const alone = await failureOf(testIngress(state.context, asked));
  assert.match(alone.message, 'no ingress controller answers');
  assert.match(alone.why ?? '', 'namespace ingress has no Service of traefik');
});

/** A cluster whose controller answers at these ports of a node. */
function nodePorts(http: number, https: number, more: { forwards?: Forwards } = {}): void {
  const middleware = {
    kind: 'Middleware',
    metadata: { name: 'app1-front/' },
    spec: { ipAllowList: { sourceRange: ['127.0.0.0/8'] } },
  };
  const ports = [
    { port: 80, nodePort: http },
    { port: 443, nodePort: https },
  ];
  const conditions = [{ type: 'Ready', status: 'True' }];
  cluster({
    routes: [route('/'), middleware],
    services: [{ metadata: { name: 'traefik' }, spec: { ports } }],
    pods: [{ status: { hostIP: '127.0.0.1', conditions } }],
    ...more,
  });
}

test('if a node does not answer, a port is forwarded, and the log says which address is seen', async (state) => {
  const keys = { cert: readFileSync(state.files.certificate), key: readFileSync(state.files.key) };
  const https = await listen(state, createHttps(keys, controller({ '/': 200 }, '', 443)));
  const http = await listen(state, createHttp(redirect(`https://${host}/`)));
  const closed = createHttp();
  const nobody = await listen(state, closed);
  closed.close();
  nodePorts(nobody, nobody, { forwards: { 80: http, 443: https } });
  await testIngress(state.context, asked);
  const [reason, ...answers] = state.context.logged;
  assert.match(reason ?? '', `does not answer at 127.0.0.1:${nobody}: called through a forwarded port`);
  assert.is(answers.length, 2);
  assert.match(answers[0] ?? '', `https://${host}/ answered 200 as expected: 127.0.0.1 is in 127.0.0.0/8`);
});

test.run();
