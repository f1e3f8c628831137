import { readFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import * as assert from 'uvu/assert';
import { ensureCertificate } from '../../../lib/certificates/certificates.ts';
import type { Entrance } from '../../../lib/ingress/entrance.ts';
import { checkSite, type Site, testIngress, type Wanted } from '../../../lib/ingress/test.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { portOf } from '../../rig/loopback.ts';
import { context, forwarding, listing, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

/* A real server instead of the ingress controller: how its answers are judged, and the errors. */

const cnf = 'lib/certificates/certificates.cnf';
const { test, project } = scriptedSuite('test-ingress', 'existing', 'environments', cnf);
const host = 'app1-front.development.k8s-deployment.test';
const request = { name: 'app1-front', hosts: [host] };

async function makeKeys(of = context) {
  const { certificate, key, authority } = await ensureCertificate(of, request);
  return {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    authority: readFileSync(authority, 'utf8'),
  };
}

const keys = await makeKeys(await project.context('existing'));

/** A controller with these answers; as Traefik does, it redirects to its own port what names another one in `Host`. */
const controller =
  (statuses: { readonly [path: string]: number }, body = '', port?: number): RequestListener =>
  (request, response) => {
    const own = new URL(`https://${host}:${port ?? request.socket.localPort}`).host;
    if (request.headers.host !== own) response.writeHead(301, { location: `https://${own}${request.url}` });
    else response.writeHead(statuses[request.url ?? ''] ?? 404);
    response.end(body);
  };

const redirect =
  (location: string): RequestListener =>
  (_request, response) =>
    response.writeHead(301, { location }).end();

const asked: Wanted = { app: 'app1', path: undefined, expect: undefined };

/** What is wrong at these ports; with TLS at one of them, `port` is where Traefik's redirect leads. */
const check = (ports: Partial<Entrance>, wanted: Partial<Wanted> = {}, port?: number) => {
  const tls = ports.https !== undefined;
  const routes: Site['routes'] = [
    { path: '/api/internal', ranges: ['127.0.0.0/8'] },
    { path: '/admin', ranges: ['10.0.0.0/8'] },
    { path: '/', ranges: ['0.0.0.0/0'] },
  ];
  return checkSite({
    site: { host, published: undefined, routes },
    entrance: { address: '127.0.0.1', http: undefined, https: undefined, ...ports },
    authority: tls ? keys.authority : undefined,
    wanted: { ...asked, ...wanted },
    context: withSettings({
      // The port of a redirect is only that of Traefik, and with TLS.
      ingress: { controller: tls && !port ? 'nginx' : 'traefik', tls: { enabled: tls, port: port ?? 443 } },
    }),
  });
};

const right = { '/': 200, '/admin': 403, '/api/internal': 200 };
const reversed = { '/': 200, '/admin': 200, '/api/internal': 403 };
const one = { '/': 200, '/other': 503, '/api?env': 404 };
const elsewhere = 'Hostname: app1-back\nX-Forwarded-For: 10.1.2.3, 10.244.0.9\n';

for (const [title, statuses, problems, wanted = {}, body = ''] of [
  ['200 inside the ranges and 403 outside is expected', right, []],
  [
    'a route that answers differently is a problem, in both directions',
    reversed,
    [
      '/admin answered 200, expected 403: 127.0.0.1 is outside 10.0.0.0/8',
      '/api/internal answered 403, expected 200: 127.0.0.1 is in 127.0.0.0/8',
    ],
  ],
  ['the address that the controller saw counts, if the backend shows it', reversed, [], {}, elsewhere],
  [
    'one path is judged by its route',
    one,
    ['/other answered 503, expected 200: 127.0.0.1 is in 0.0.0.0/0'],
    { path: '/other' },
  ],
  ['the expected status can be given for a path', one, [], { path: '/api?env', expect: 404 }],
  ['a given status is that of /', one, [], { expect: 200 }],
  ['another than the given status is a problem', one, ['/ answered 200, expected 403'], { expect: 403 }],
] as const) {
  test(title, async () => {
    const http = await portOf(createHttp(controller(statuses, body)));
    const origin = `http://${host}:${http}`;
    const expected = problems.map((line) => origin + line);
    assert.equal(await check({ http }, wanted), expected);
    if (statuses === right)
      assert.equal(context.logged, [
        `${origin}/ answered 200 as expected: 127.0.0.1 is in 0.0.0.0/0`,
        `${origin}/admin answered 403 as expected: 127.0.0.1 is outside 10.0.0.0/8`,
        `${origin}/api/internal answered 200 as expected: 127.0.0.1 is in 127.0.0.0/8`,
      ]);
  });
}

/** What is wrong with a controller that speaks TLS, and HTTP in this way. */
async function checkTls(plain: RequestListener, port?: number) {
  const https = await portOf(createHttps(keys, controller(right, '', port)));
  const http = await portOf(createHttp(plain));
  const problems = await check({ http, https }, {}, port);
  return problems.map((line) => line.replace(`:${http}/`, '/').replace(`:${https}`, ''));
}

const secure = `https://${host}`;

test('with TLS the certificate is checked by the environment’s authority, and HTTP has to redirect to HTTPS', async () => {
  assert.equal(await checkTls(redirect(`${secure}:30443/`)), []);
  assert.match(context.logged.at(-1) ?? '', /^http:\S+ redirects to https:\S+:30443\/$/);
  assert.equal(await checkTls(redirect('http://other.test/')), [
    `http://${host}/ answered 301 with http://other.test/, expected a redirect to ${secure}`,
  ]);
  assert.equal(await checkTls(controller({ '/': 200 })), [
    `http://${host}/ answered 200, expected a redirect to ${secure}`,
  ]);
});

test('the port of Traefik’s redirect is sent in Host wherever Traefik listens, and HTTP has to redirect to it', async () => {
  assert.equal(await checkTls(redirect(`${secure}:30443/`), 30443), []);
  assert.match(context.logged[0] ?? '', `${secure}:30443/ answered 200`);
  assert.equal(await checkTls(redirect(`${secure}/`), 443), []);
  assert.match(context.logged[4] ?? '', `${secure}/ answered 200`);
  assert.equal(await checkTls(redirect(`${secure}/`), 30443), [
    `http://${host}/ answered 301 with ${secure}/, expected a redirect to ${secure}:30443`,
  ]);
});

test('the default certificate of a controller is an error with advice', async () => {
  const https = await portOf(createHttps(await makeKeys(), controller({})));
  const advice = /run `npx tsx tasks.ts install-tier apps`/;
  await fails(check({ https }), { what: /^the certificate of .* is not trusted/, advice });
});

test('if nothing answers, the error names the address', async () => {
  const http = await freePort();
  const what = new RegExp(`cannot be reached at 127.0.0.1:${http}`);
  await fails(check({ http }), { what, why: /ECONNREFUSED/ });
});

const route = (path: string) => ({
  kind: 'Ingress',
  metadata: { name: `app1-front${path}` },
  spec: { rules: [{ host, http: { paths: [{ path }] } }] },
});

test('an application without routes and a cluster without a controller are errors with advice', async () => {
  project.script('kubectl', { '': listing() });
  await fails(testIngress(context, asked), { what: /app1 has no route/, advice: /install-app app1/ });
  project.script('kubectl', { 'ingresses.networking': listing(route('/')), '': listing() });
  await fails(testIngress(context, asked), {
    what: /no ingress controller answers/,
    why: /namespace ingress has no Service of traefik/,
  });
});

test('if a node does not answer, a port is forwarded, and the log says which address is seen', async () => {
  const https = await portOf(createHttps(await makeKeys(), controller({ '/': 200 }, '', 443)));
  const http = await portOf(createHttp(redirect(`${secure}/`)));
  const nodePort = await freePort();
  const spec = { ipAllowList: { sourceRange: ['127.0.0.0/8'] } };
  const middleware = { kind: 'Middleware', metadata: { name: 'app1-front/' }, spec };
  const ports = [80, 443].map((port) => ({ port, nodePort }));
  project.script('kubectl', {
    'ingresses.networking': listing(route('/'), middleware),
    'get services': listing({ metadata: { name: 'traefik' }, spec: { ports } }),
    'get pods': listing({ status: { hostIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] } }),
    'port-forward svc/traefik :80 ': forwarding(http),
    'port-forward svc/traefik :443 ': forwarding(https),
  });
  await testIngress(context, asked);
  const [reason, ...answers] = context.logged;
  assert.match(reason ?? '', `does not answer at 127.0.0.1:${nodePort}: called through a forwarded port`);
  assert.is(answers.length, 2);
  assert.match(answers[0] ?? '', `${secure}/ answered 200 as expected: 127.0.0.1 is in 127.0.0.0/8`);
});

test.run();
