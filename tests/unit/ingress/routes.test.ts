import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entranceOf, type Pod, type Service } from '../../../lib/ingress/entrance.ts';
import { isAllowed, redirectPort, routeOf, siteOf } from '../../../lib/ingress/routes.ts';
import type { Settings } from '../../../lib/settings/context.ts';

const settings = (ingress: Partial<Settings['ingress']> = {}) =>
  ({ ingress: { controller: 'traefik', tls: { enabled: true, port: 30443 }, ...ingress } }) as Pick<
    Settings,
    'ingress'
  >;

const host = 'app1-front.development.k8s-deployment.test';

const ingress = (name: string, path: string, annotations = {}) => ({
  kind: 'Ingress' as const,
  metadata: { name, annotations },
  spec: { rules: [{ host, http: { paths: [{ path }] } }] },
  status: { loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } },
});

const middleware = (name: string, ...sourceRange: string[]) => ({
  kind: 'Middleware' as const,
  metadata: { name },
  spec: { ipAllowList: { sourceRange } },
});

test('Traefik: the ranges of a route are those of the middleware of its name', () => {
  const site = siteOf(
    [
      ingress('app1-front-public', '/'),
      ingress('app1-front-admin', '/admin'),
      middleware('app1-front-admin', '10.0.0.0/8'),
      middleware('app1-front-public', '0.0.0.0/0'),
      { kind: 'Middleware', metadata: { name: 'app1-front-https' }, spec: {} },
    ],
    settings(),
  );
  assert.equal([site?.host, site?.tls, site?.published], [host, true, '192.0.2.10']);
  assert.equal(
    site?.routes.map(({ path, ranges }) => `${path} ${ranges}`),
    ['/admin 10.0.0.0/8', '/ 0.0.0.0/0'],
  );
});

test('only Traefik’s redirect requires a port in Host', () => {
  assert.is(redirectPort(settings()), 30443);
  assert.is(redirectPort(settings({ controller: 'nginx' })), undefined);
  const tls = { enabled: false, existingSecret: '', clusterIssuer: '', port: 443 };
  assert.is(redirectPort(settings({ tls })), undefined);
});

test('ingress-nginx: the ranges are in the annotation', () => {
  const annotations = { 'nginx.ingress.kubernetes.io/whitelist-source-range': '10.0.0.0/8, 192.0.2.1/32' };
  const site = siteOf([ingress('a', '/admin', annotations)], settings());
  assert.equal(site?.routes[0]?.ranges, ['10.0.0.0/8', '192.0.2.1/32']);
});

test('Gateway API: the ranges are those of the filter, and the redirect is no route', () => {
  const rule = (path: string, name: string) => ({
    matches: [{ path: { value: path } }],
    filters: [{ extensionRef: { name } }],
  });
  const route = (name: string, rules: readonly object[]) =>
    ({ kind: 'HTTPRoute', metadata: { name }, spec: { hostnames: [host], rules } }) as const;
  const routes = [
    route('app1-front', [rule('/admin', 'one'), rule('/', 'two')]),
    route('app1-front-https', [{ filters: [{}] }]),
  ];
  const site = siteOf([...routes, middleware('one', '10.0.0.0/8'), middleware('two', '::/0')], settings());
  assert.is(site?.host, host);
  assert.equal(
    site?.routes.map(({ path, ranges }) => `${path} ${ranges}`),
    ['/admin 10.0.0.0/8', '/ ::/0'],
  );
});

test('a path belongs to the longest route that is a whole part of it', () => {
  const site = siteOf([ingress('a', '/'), ingress('b', '/admin'), ingress('c', '/api/internal')], settings());
  if (!site) throw new Error('expected a site');
  const served = (path: string) => routeOf(site, path)?.path;
  assert.is(served('/admin'), '/admin');
  assert.is(served('/admin/users?x'), '/admin');
  assert.is(served('/admin?x=1'), '/admin');
  assert.is(served('/administrator'), '/');
  assert.is(served('/api'), '/');
  assert.is(served('/api/internal/x'), '/api/internal');
});

test('an address matches ranges of its family; IPv4 also in IPv6 notation', () => {
  assert.ok(isAllowed('10.1.2.3', ['192.0.2.0/24', '10.0.0.0/8']));
  assert.not.ok(isAllowed('11.1.2.3', ['10.0.0.0/8']));
  assert.ok(isAllowed('::ffff:10.1.2.3', ['10.0.0.0/8']));
  assert.ok(isAllowed('2001:db8::1', ['2001:db8::/32']));
  assert.not.ok(isAllowed('2001:db8::1', ['0.0.0.0/0']));
  assert.ok(isAllowed('198.51.100.7', ['0.0.0.0/0', '::/0']));
  assert.ok(isAllowed('192.0.2.1', ['192.0.2.1']));
  assert.not.ok(isAllowed('', ['0.0.0.0/0']));
  assert.not.ok(isAllowed('10.0.0.1', []));
});

const service = (
  ports: Service['spec']['ports'],
  balancer?: { ip?: string; hostname?: string },
): Service => ({
  metadata: { name: 'traefik' },
  spec: { ports: ports ?? [] },
  status: { loadBalancer: balancer ? { ingress: [balancer] } : {} },
});

const pod = (hostIP: string, ready: boolean): Pod => ({
  status: { hostIP, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

test('the entry point is the load balancer, else a node port with a ready pod, else none', () => {
  const http = { port: 80, nodePort: 30080 };
  const ports = [http, { port: 443, nodePort: 30443 }];
  const entrance = (...words: Parameters<typeof entranceOf>) => {
    const found = entranceOf(...words);
    return found && `${found.address} ${found.http} ${found.https}`;
  };
  const [starting, ready] = [pod('192.0.2.1', false), pod('192.0.2.2', true)];
  assert.is(entrance(service(ports, { hostname: 'lb.test' }), []), 'lb.test 80 443');
  assert.is(entrance(service(ports), [starting, ready]), '192.0.2.2 30080 30443');
  assert.is(entrance(service(ports), [starting]), undefined);
  assert.is(entrance(service([{ port: 80 }]), [ready]), undefined);
});

test.run();
