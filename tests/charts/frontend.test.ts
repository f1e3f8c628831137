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

test('Traefik gets the same ranges by Middleware', async () => {
  const objects = await render('frontend', {
    namespace: 'fronts',
    values: { ...values, ingress: { ...(values.ingress as Tree), controller: 'traefik' } },
  });
  const ranges = (name: string) => only(objects, 'Middleware', name).spec.ipAllowList.sourceRange;
  assert.equal(ranges('app-admin'), ['192.0.2.0/24', '198.51.100.7/32']);
  assert.equal(ranges('app-internal'), ['10.244.0.0/16', '10.9.0.0/16']);
  assert.equal(ranges('app-public'), ['0.0.0.0/0']);
  const mark = (name: string) =>
    only(objects, 'Middleware', `${name}-mark`).spec.headers.customRequestHeaders;
  for (const route of ['admin', 'internal', 'public'])
    assert.equal(mark(`app-${route}`), { 'X-Ingress-Route': route });
  for (const route of ofKind(objects, 'Ingress')) {
    assert.equal(route.metadata.annotations, {
      'traefik.ingress.kubernetes.io/router.middlewares': `fronts-${route.metadata.name}@kubernetescrd,fronts-${route.metadata.name}-mark@kubernetescrd`,
    });
    assert.is(route.spec.ingressClassName, 'traefik');
  }
});

test('cert-manager’s solvers are reached by the controller if it proves the host in this namespace', async () => {
  const acme = async (ingress: Tree) => {
    const objects = await render('frontend', { values: { ingress } });
    return ofKind(objects, 'NetworkPolicy').find(({ metadata }) => metadata.name === 'app-acme');
  };
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
    const objects = await render('frontend', { values: { ingress } });
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

/** One Ingress and its related objects, for a controller and with TLS. */
const secured = async (controller: string, tls: Tree = {}) =>
  render('frontend', { values: { ingress: { controller, tls: { enabled: true, ...tls } } } });

test('with TLS every route has the certificate, and HTTP is redirected', async () => {
  const traefik = await secured('traefik', { port: 30443 });
  for (const route of ofKind(traefik, 'Ingress')) {
    assert.equal(route.spec.tls, [{ hosts: ['app-front.test.example'], secretName: 'app-tls' }]);
    // the redirect comes first, so that restricted paths are never requested over plain HTTP
    assert.is(
      route.metadata.annotations?.['traefik.ingress.kubernetes.io/router.middlewares'],
      `here-app-https@kubernetescrd,here-${route.metadata.name}@kubernetescrd,here-${route.metadata.name}-mark@kubernetescrd`,
    );
  }
  assert.equal(only(traefik, 'Middleware', 'app-https').spec.redirectScheme, {
    scheme: 'https',
    port: '30443',
    permanent: true,
  });
  for (const route of ofKind(await secured('nginx'), 'Ingress')) {
    assert.ok(route.spec.tls);
    assert.is(route.metadata.annotations?.['nginx.ingress.kubernetes.io/force-ssl-redirect'], 'true');
  }
});

test('the certificate is an existing Secret or comes from cert-manager', async () => {
  const [route] = ofKind(
    await secured('traefik', { secretName: 'wildcard', clusterIssuer: 'letsencrypt' }),
    'Ingress',
  );
  assert.is(route?.spec.tls[0].secretName, 'wildcard');
  assert.is(route?.metadata.annotations?.['cert-manager.io/cluster-issuer'], 'letsencrypt');
  const [without] = ofKind(await render('frontend'), 'Ingress');
  assert.is(without?.spec.tls, undefined);
  assert.not.ok(
    Object.keys(without?.metadata.annotations ?? {}).some((name) => name.includes('cert-manager')),
  );
});

test('as HTTPRoute, every rule has the filter with its source ranges', async () => {
  const gateway = { name: 'edge', namespace: 'gateways' };
  const ingress = { kind: 'httproute', gateway, tls: { enabled: true } };
  const objects = await render('frontend', { values: { ingress } });
  assert.equal(ofKind(objects, 'Ingress'), []);
  const route = only(objects, 'HTTPRoute', 'app').spec;
  assert.equal(route.parentRefs, [{ ...gateway, sectionName: 'websecure' }]);
  const rules = route.rules.map((rule: KubernetesObject) => [
    rule.matches[0].path.value,
    rule.filters[0].extensionRef.name,
    rule.filters[1].requestHeaderModifier.set[0].value,
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
  const grant = only(objects, 'ReferenceGrant').spec;
  assert.is(grant.from[0].namespace, 'gateways');
  assert.is(grant.to[0].name, 'app-tls');
});

test('fronts that share a certificate share no object', async () => {
  const ingress = { kind: 'httproute', tls: { enabled: true, secretName: 'wildcard' } };
  const names = async (release: string) =>
    (await render('frontend', { release, values: { ingress } })).map(
      ({ kind, metadata }) => `${kind} ${metadata.name}`,
    );
  const [one, other] = await Promise.all([names('app1-front'), names('app2-front')]);
  assert.equal(
    one.filter((name) => other.includes(name)),
    [],
  );
});

test('settings that would silently drop the source ranges are refused with the reason', async () => {
  const refusal = async (ingress: Tree) => (await tryRender('frontend', { values: { ingress } })).stderr;
  assert.match(
    await refusal({ kind: 'httproute', controller: 'nginx' }),
    'ingress.kind: httproute needs ingress.controller: traefik',
  );
  assert.match(
    await refusal({ forwardedDepth: 1, controller: 'nginx' }),
    'ingress.forwardedDepth has no effect with ingress.controller: nginx',
  );
});

test('behind a proxy, the ranges apply to the forwarded address', async () => {
  const strategy = async (forwardedDepth: number) =>
    only(await render('frontend', { values: { ingress: { forwardedDepth } } }), 'Middleware', 'app-admin')
      .spec.ipAllowList.ipStrategy;
  assert.equal(await strategy(2), { depth: 2 });
  assert.is(await strategy(0), undefined);
});

test('a changed configuration replaces the pods', async () => {
  const checksum = async (change: Tree) =>
    only(await render('frontend', { values: change }), 'Deployment').spec.template.metadata.annotations[
      'checksum/configuration'
    ];
  assert.is(await checksum({}), await checksum({ replicas: 3 }));
  assert.is.not(await checksum({}), await checksum({ backend: { timeoutSeconds: 31 } }));
});

test.run();
