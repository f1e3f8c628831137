import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KubernetesObject, ofKind, only, render, type Tree, tryRender } from './render.ts';

const test = suite('frontend');

const whitelist = 'nginx.ingress.kubernetes.io/whitelist-source-range';
const values: Tree = {
  ingress: {
    controller: 'nginx',
    publicWhitelist: ['0.0.0.0/0'],
    adminWhitelist: ['192.0.2.0/24', '198.51.100.7/32'],
    internalWhitelist: ['10.9.0.0/16'],
  },
};

const front = (ingress: Tree = {}, more: Tree = {}) => render('frontend', { values: { ingress, ...more } });

test('three routes lead to the front, each with its own source ranges', async () => {
  const objects = await render('frontend', { values });
  const { metadata, spec } = only(objects, 'Service');
  assert.is(spec.type, 'ClusterIP');
  const routes = ofKind(objects, 'Ingress').map((route) => {
    const [{ host, http }] = route.spec.rules;
    const [{ path, pathType, backend }] = http.paths;
    assert.equal(backend.service, { name: metadata.name, port: { name: spec.ports[0].name } });
    return [route.metadata.name, host, path, pathType, route.metadata.annotations?.[whitelist]].join(' ');
  });
  assert.equal(routes.sort(), [
    'app-admin app-front.test.example /admin Prefix 192.0.2.0/24,198.51.100.7/32',
    'app-internal app-front.test.example /api/internal Prefix 10.244.0.0/16,10.9.0.0/16',
    'app-public app-front.test.example / Prefix 0.0.0.0/0',
  ]);
});

const middlewares = 'traefik.ingress.kubernetes.io/router.middlewares';

test('Traefik gets the same ranges by Middleware', async () => {
  const objects = await front({ ...(values.ingress as Tree), controller: 'traefik' });
  for (const [route, ranges] of [
    ['admin', ['192.0.2.0/24', '198.51.100.7/32']],
    ['internal', ['10.244.0.0/16', '10.9.0.0/16']],
    ['public', ['0.0.0.0/0']],
  ] as const) {
    assert.equal(only(objects, 'Middleware', `app-${route}`).spec.ipAllowList.sourceRange, ranges);
    const { customRequestHeaders } = only(objects, 'Middleware', `app-${route}-mark`).spec.headers;
    assert.equal(customRequestHeaders, { 'X-Ingress-Route': route });
    const { metadata, spec } = only(objects, 'Ingress', `app-${route}`);
    const both = `here-app-${route}@kubernetescrd,here-app-${route}-mark@kubernetescrd`;
    assert.equal(metadata.annotations, { [middlewares]: both });
    assert.is(spec.ingressClassName, 'traefik');
  }
});

test('cert-manager’s solvers are reached by the controller if it proves the host in this namespace', async () => {
  const acme = async (ingress: Tree) =>
    ofKind(await front(ingress), 'NetworkPolicy').find(({ metadata }) => metadata.name === 'app-acme');
  const tls = { enabled: true, clusterIssuer: 'letsencrypt' };
  const { podSelector, ingress } = (await acme({ tls }))?.spec ?? {};
  assert.equal(podSelector.matchLabels, { 'acme.cert-manager.io/http01-solver': 'true' });
  assert.equal(ingress[0].ports, [{ protocol: 'TCP', port: 8089 }]);
  assert.ok(await acme({ tls, controller: 'nginx' }));
  for (const without of [
    { tls: { enabled: true } },
    { tls: { ...tls, enabled: false } },
    { tls, kind: 'httproute' },
    { tls, controller: 'none' },
  ])
    assert.is(await acme(without), undefined, JSON.stringify(without));
});

test('the front has routes only with an ingress controller, and accepts only its pods', async () => {
  const from = async (ingress: Tree) => {
    const objects = await front(ingress);
    assert.is(ofKind(objects, 'Ingress').length, ingress.controller === 'none' ? 0 : 3);
    const peer = only(objects, 'NetworkPolicy').spec.ingress?.[0].from[0];
    return peer && { ...peer.namespaceSelector.matchLabels, ...peer.podSelector.matchLabels };
  };
  const pods = (namespace: string, labels: Tree) => ({ 'kubernetes.io/metadata.name': namespace, ...labels });
  const name = 'app.kubernetes.io/name';
  assert.equal(await from({ controller: 'nginx' }), pods('ingress-nginx', { [name]: 'ingress-nginx' }));
  assert.equal(await from({ controller: 'traefik' }), pods('ingress', { [name]: 'traefik' }));
  const edge = { controllerNamespace: 'edge', controllerLabels: { app: 'edge' } };
  assert.equal(await from({ controller: 'nginx', ...edge }), pods('edge', { app: 'edge' }));
  assert.is(await from({ controller: 'none' }), undefined);
});

/** The Ingresses for a controller and with TLS, and their related objects. */
const secured = (controller: string, tls: Tree = {}) => front({ controller, tls: { enabled: true, ...tls } });

test('with TLS every route has the certificate, and HTTP is redirected', async () => {
  const traefik = await secured('traefik', { port: 30443 });
  for (const { metadata, spec } of ofKind(traefik, 'Ingress')) {
    assert.equal(spec.tls, [{ hosts: ['app-front.test.example'], secretName: 'app-tls' }]);
    // the redirect comes first, so that restricted paths are never requested over plain HTTP
    assert.match(
      metadata.annotations?.[middlewares] ?? '',
      /^here-app-https@\w+,(here-app-\w+)@\w+,\1-mark@\w+$/,
    );
  }
  const redirectScheme = { scheme: 'https', port: '30443', permanent: true };
  assert.equal(only(traefik, 'Middleware', 'app-https').spec, { redirectScheme });
  for (const { metadata, spec } of ofKind(await secured('nginx'), 'Ingress')) {
    assert.ok(spec.tls);
    assert.is(metadata.annotations?.['nginx.ingress.kubernetes.io/force-ssl-redirect'], 'true');
  }
});

test('the certificate is an existing Secret or comes from cert-manager', async () => {
  const certificateOf = (objects: readonly KubernetesObject[]) => {
    const { spec, metadata } = only(objects, 'Ingress', 'app-admin');
    return [spec.tls?.[0].secretName, metadata.annotations?.['cert-manager.io/cluster-issuer']];
  };
  const tls = { secretName: 'wildcard', clusterIssuer: 'letsencrypt' };
  assert.equal(certificateOf(await secured('traefik', tls)), ['wildcard', 'letsencrypt']);
  assert.equal(certificateOf(await front()), [undefined, undefined]);
});

test('as HTTPRoute, every rule has the filter with its source ranges', async () => {
  const gateway = { name: 'edge', namespace: 'gateways' };
  const objects = await front({ kind: 'httproute', gateway, tls: { enabled: true } });
  assert.equal(ofKind(objects, 'Ingress'), []);
  const route = only(objects, 'HTTPRoute', 'app').spec;
  assert.equal(route.parentRefs, [{ ...gateway, sectionName: 'websecure' }]);
  const rules = route.rules.map(({ matches, filters }: KubernetesObject) => [
    matches[0].path.value,
    filters[0].extensionRef.name,
    filters[1].requestHeaderModifier.set[0].value,
  ]);
  assert.equal(rules, [
    ['/admin', 'app-admin', 'admin'],
    ['/api/internal', 'app-internal', 'internal'],
    ['/', 'app-public', 'public'],
  ]);
  for (const name of ['app-admin', 'app-internal', 'app-public'])
    assert.ok(only(objects, 'Middleware', name).spec.ipAllowList.sourceRange.length > 0);
  const redirect = only(objects, 'HTTPRoute', 'app-https').spec;
  assert.is(redirect.parentRefs[0].sectionName, 'web');
  assert.equal(redirect.rules[0].filters[0].requestRedirect, { scheme: 'https', port: 443, statusCode: 301 });
  const { from, to } = only(objects, 'ReferenceGrant').spec;
  assert.equal([from[0].namespace, to[0].name], ['gateways', 'app-tls']);
});

test('fronts that share a certificate share no object', async () => {
  const ingress = { kind: 'httproute', tls: { enabled: true, secretName: 'wildcard' } };
  const objects = await Promise.all(
    ['app1-front', 'app2-front'].map((release) => render('frontend', { release, values: { ingress } })),
  );
  const names = objects.flat().map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  assert.is(new Set(names).size, names.length);
});

test('settings that would silently drop the source ranges are refused with the reason', async () => {
  for (const [ingress, why] of [
    [{ kind: 'httproute' }, 'ingress.kind: httproute needs ingress.controller: traefik'],
    [{ forwardedDepth: 1 }, 'ingress.forwardedDepth has no effect with ingress.controller: nginx'],
  ] as const) {
    const { stderr } = await tryRender('frontend', {
      values: { ingress: { ...ingress, controller: 'nginx' } },
    });
    assert.match(stderr, why);
  }
});

test('behind a proxy, the ranges apply to the forwarded address', async () => {
  const strategy = async (forwardedDepth: number) =>
    only(await front({ forwardedDepth }), 'Middleware', 'app-admin').spec.ipAllowList.ipStrategy;
  assert.equal([await strategy(2), await strategy(0)], [{ depth: 2 }, undefined]);
});

test('a changed configuration replaces the pods', async () => {
  const checksum = async (change: Tree) =>
    only(await front({}, change), 'Deployment').spec.template.metadata.annotations['checksum/configuration'];
  assert.is(await checksum({}), await checksum({ replicas: 3 }));
  assert.is.not(await checksum({}), await checksum({ backend: { timeoutSeconds: 31 } }));
});

test.run();
