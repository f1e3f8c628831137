import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { selects } from '../network/verdict.ts';
import { ofKind, only, refuses, render, type Tree } from './render.ts';

const test = suite('frontend');

/** Each route with its path and source ranges, as these settings have it. */
const routes = [
  ['admin', '/admin', ['192.0.2.0/24', '198.51.100.7/32']],
  ['internal', '/api/internal', ['10.244.0.0/16', '10.9.0.0/16']],
  ['public', '/', ['0.0.0.0/0']],
] as const;
const ranges = {
  adminWhitelist: routes[0][2],
  internalWhitelist: ['10.9.0.0/16'],
  publicWhitelist: routes[2][2],
};

const host = 'app-front.test.example';
const middlewares = 'traefik.ingress.kubernetes.io/router.middlewares';

const front = (ingress: Tree = {}, more: Tree = {}) =>
  render('frontend', { values: { ingress: { ...ranges, ...ingress }, ...more } });

/** The routes for a controller with TLS, and their related objects. */
const secured = (controller: string, tls: Tree = {}) => front({ controller, tls: { enabled: true, ...tls } });

test('three routes lead to the front, each with its own source ranges, by annotation or Middleware', async () => {
  for (const controller of ['nginx', 'traefik']) {
    const objects = await front({ controller });
    const { metadata, spec } = only(objects, 'Service');
    assert.is(spec.type, 'ClusterIP');
    const backend = { service: { name: metadata.name, port: { name: spec.ports[0].name } } };
    for (const [route, path, whitelist] of routes) {
      const ingress = only(objects, 'Ingress', `app-${route}`);
      const paths = [{ path, pathType: 'Prefix', backend }];
      assert.equal(ingress.spec, { ingressClassName: controller, rules: [{ host, http: { paths } }] });
      const both = `here-app-${route}@kubernetescrd,here-app-${route}-mark@kubernetescrd`;
      assert.equal(
        ingress.metadata.annotations,
        controller === 'traefik'
          ? { [middlewares]: both }
          : { 'nginx.ingress.kubernetes.io/whitelist-source-range': whitelist.join(',') },
      );
      if (controller === 'nginx') continue;
      assert.equal(only(objects, 'Middleware', `app-${route}`).spec.ipAllowList.sourceRange, whitelist);
      const { customRequestHeaders } = only(objects, 'Middleware', `app-${route}-mark`).spec.headers;
      assert.equal(customRequestHeaders, { 'X-Ingress-Route': route });
    }
  }
});

test('cert-manager’s solvers are reached by the controller if it proves the host in this namespace', async () => {
  const tls = { enabled: true, clusterIssuer: 'letsencrypt' };
  for (const [values, ports] of [
    [{ tls }, [{ protocol: 'TCP', port: 8089 }]],
    [{ tls, controller: 'nginx' }, [{ protocol: 'TCP', port: 8089 }]],
    [{ tls: { enabled: true } }],
    [{ tls: { ...tls, enabled: false } }],
    [{ tls, kind: 'httproute' }],
    [{ tls, controller: 'none' }],
  ] as const) {
    const acme = ofKind(await front(values), 'NetworkPolicy').find(({ spec }) =>
      selects(spec.podSelector, { 'acme.cert-manager.io/http01-solver': 'true' }),
    );
    assert.equal(acme?.spec.ingress[0].ports, ports, JSON.stringify(values));
  }
});

test('the front has routes only with an ingress controller, and accepts only its pods', async () => {
  const name = 'app.kubernetes.io/name';
  const edge = { controllerNamespace: 'edge', controllerLabels: { app: 'edge' } };
  for (const [ingress, namespace, labels] of [
    [{ controller: 'nginx' }, 'ingress-nginx', { [name]: 'ingress-nginx' }],
    [{ controller: 'traefik' }, 'ingress', { [name]: 'traefik' }],
    [{ controller: 'nginx', ...edge }, 'edge', { app: 'edge' }],
    [{ controller: 'none' }],
  ] as const) {
    const objects = await front(ingress);
    assert.is(ofKind(objects, 'Ingress').length, namespace ? 3 : 0);
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    const from = [{ namespaceSelector, podSelector: { matchLabels: labels } }];
    assert.equal(only(objects, 'NetworkPolicy').spec.ingress?.[0].from, namespace && from);
  }
});

test('with TLS every route has the certificate, its own or an existing one, and HTTP is redirected', async () => {
  const traefik = await secured('traefik', { port: 30443, secretName: 'wildcard' });
  for (const { metadata, spec } of ofKind(traefik, 'Ingress')) {
    assert.equal(spec.tls, [{ hosts: [host], secretName: 'wildcard' }]);
    // the redirect comes first, so that restricted paths are never requested over plain HTTP
    const order = /^here-app-https@\w+,(here-app-\w+)@\w+,\1-mark@\w+$/;
    assert.match(metadata.annotations?.[middlewares] ?? '', order);
  }
  const redirectScheme = { scheme: 'https', port: '30443', permanent: true };
  assert.equal(only(traefik, 'Middleware', 'app-https').spec, { redirectScheme });
  for (const { metadata, spec } of ofKind(await secured('nginx'), 'Ingress')) {
    assert.is(spec.tls[0].secretName, 'app-tls');
    assert.is(metadata.annotations?.['nginx.ingress.kubernetes.io/force-ssl-redirect'], 'true');
  }
});

test('as HTTPRoute, every rule has the filter with its source ranges', async () => {
  const gateway = { name: 'edge', namespace: 'gateways' };
  const objects = await front({ kind: 'httproute', gateway, tls: { enabled: true } });
  assert.equal(ofKind(objects, 'Ingress'), []);
  const route = only(objects, 'HTTPRoute', 'app').spec;
  assert.equal(route.parentRefs, [{ ...gateway, sectionName: 'websecure' }]);
  for (const [index, [name, path, whitelist]] of routes.entries()) {
    const { matches, filters } = route.rules[index];
    const set = filters[1].requestHeaderModifier.set[0].value;
    assert.equal([matches[0].path.value, filters[0].extensionRef.name, set], [path, `app-${name}`, name]);
    assert.equal(only(objects, 'Middleware', `app-${name}`).spec.ipAllowList.sourceRange, whitelist);
  }
  const redirect = only(objects, 'HTTPRoute', 'app-https').spec;
  assert.is(redirect.parentRefs[0].sectionName, 'web');
  assert.equal(redirect.rules[0].filters[0].requestRedirect, { scheme: 'https', port: 443, statusCode: 301 });
  const { from, to } = only(objects, 'ReferenceGrant').spec;
  assert.equal([from[0].namespace, to[0].name], ['gateways', 'app-tls']);
});

test('settings that would silently drop the source ranges are refused with the reason', async () => {
  const controller = 'nginx';
  const kind = { ingress: { kind: 'httproute', controller } };
  await refuses('frontend', kind, 'ingress.kind: httproute needs ingress.controller: traefik');
  const why = 'ingress.forwardedDepth has no effect with ingress.controller: nginx';
  await refuses('frontend', { ingress: { forwardedDepth: 1, controller } }, why);
});

test('a changed configuration replaces the pods', async () => {
  const checksum = async (change: Tree) =>
    only(await front({}, change), 'Deployment').spec.template.metadata.annotations['checksum/configuration'];
  assert.is(await checksum({}), await checksum({ replicas: 3 }));
  assert.is.not(await checksum({}), await checksum({ backend: { timeoutSeconds: 31 } }));
});

test.run();
