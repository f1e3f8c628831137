import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllowed } from '../../../lib/ingress/routes.ts';
import { routeOf, siteOf } from '../../../lib/ingress/test.ts';

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
  spec: sourceRange.length === 0 ? {} : { ipAllowList: { sourceRange } },
});

test('the ranges of a route are those of the middleware of its name, of the annotation or of the filter', () => {
  const annotations = { 'nginx.ingress.kubernetes.io/whitelist-source-range': '10.0.0.0/8, 192.0.2.1/32' };
  const rule = (path: string, name: string) => ({
    matches: [{ path: { value: path } }],
    filters: [{ extensionRef: { name } }],
  });
  const route = (name: string, ...rules: readonly object[]) =>
    ({ kind: 'HTTPRoute', metadata: { name }, spec: { hostnames: [host], rules } }) as const;
  const ranges = ['10.0.0.0/8', '0.0.0.0/0'] as const;
  const traefik = [
    ...[ingress('front-public', '/'), ingress('front-admin', '/admin'), middleware('front-https')],
    ...[middleware('front-admin', ranges[0]), middleware('front-public', ranges[1])],
  ];
  const gateway = [
    route('front', rule('/', 'public'), rule('/admin', 'admin')),
    // The redirect is no route.
    route('front-https', { filters: [{}] }),
    ...[middleware('admin', ranges[0]), middleware('public', ranges[1])],
  ];
  for (const [objects, published, ...routes] of [
    [traefik, '192.0.2.10', '/admin 10.0.0.0/8', '/ 0.0.0.0/0'],
    [[ingress('a', '/', annotations)], '192.0.2.10', '/ 10.0.0.0/8,192.0.2.1/32'],
    [gateway, undefined, '/admin 10.0.0.0/8', '/ 0.0.0.0/0'],
  ] as const) {
    const { routes: found = [], ...site } = siteOf(objects) ?? {};
    assert.equal(site, { host, published });
    const shown = found.map(({ path, ranges }) => `${path} ${ranges}`);
    assert.equal(shown, routes);
  }
});

test('a path belongs to the longest route that is a whole part of it', () => {
  const site = siteOf([ingress('a', '/'), ingress('b', '/admin'), ingress('c', '/api/internal')]);
  for (const [path, route] of Object.entries({
    ...{ '/admin': '/admin', '/admin/users?x': '/admin', '/admin?x=1': '/admin', '/administrator': '/' },
    ...{ '/api': '/', '/api/internal/x': '/api/internal' },
  }))
    assert.is(site && routeOf(site, path)?.path, route, path);
});

test('an address matches ranges of its family; IPv4 also in IPv6 notation', () => {
  for (const [address, isIn, ...ranges] of [
    ['10.1.2.3', true, '192.0.2.0/24', '10.0.0.0/8'],
    ['11.1.2.3', false, '10.0.0.0/8'],
    ['::ffff:10.1.2.3', true, '10.0.0.0/8'],
    ['2001:db8::1', true, '2001:db8::/32'],
    ['2001:db8::1', false, '0.0.0.0/0'],
    ['198.51.100.7', true, '0.0.0.0/0', '::/0'],
    ['192.0.2.1', true, '192.0.2.1'],
    ['', false, '0.0.0.0/0'],
    ['10.0.0.1', false],
  ] as const)
    assert.is(isAllowed(address, ranges), isIn, `${address} ${ranges}`);
});

test.run();
