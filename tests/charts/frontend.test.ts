import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type KubernetesObject,
  objectsOf,
  ofKind,
  only,
  render,
  renderEnvironment,
  type Tree,
  tryRender,
} from './render.ts';
import { cleanUp } from './tools.ts';

const test = suite('frontend');
test.after(cleanUp);

const whitelist = 'nginx.ingress.kubernetes.io/whitelist-source-range';
const values: Tree = {
  ingress: {
    controller: 'nginx',
    publicWhitelist: ['0.0.0.0/0'],
    adminWhitelist: ['192.0.2.0/24', '198.51.100.7/32'],
    internalWhitelist: ['10.9.0.0/16'],
  },
};

test('three routes, each with its own source ranges', async () => {
  const routes = ofKind(await render('frontend', { values }), 'Ingress');
  const found = routes.map((route) => {
    const [rule] = route.spec.rules;
    const [path] = rule.http.paths;
    return [
      route.metadata.name,
      rule.host,
      path.path,
      path.pathType,
      route.metadata.annotations?.[whitelist],
    ].join(' ');
  });
  assert.equal(found.sort(), [
    'app-admin app-front.test.example /admin Prefix 192.0.2.0/24,198.51.100.7/32',
    'app-internal app-front.test.example /api/internal Prefix 10.244.0.0/16,10.9.0.0/16',
    'app-public app-front.test.example / Prefix 0.0.0.0/0',
  ]);
});

test('each route leads to the front, which has a ClusterIP Service', async () => {
  const objects = await render('frontend', { values });
  const service = only(objects, 'Service');
  assert.is(service.spec.type, 'ClusterIP');
  for (const route of ofKind(objects, 'Ingress')) {
    assert.equal(route.spec.rules[0].http.paths[0].backend.service, {
      name: service.metadata.name,
      port: { name: service.spec.ports[0].name },
    });
  }
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

test('no route without an ingress controller', async () => {
  const objects = await render('frontend', { values: { ingress: { controller: 'none' } } });
  assert.equal(ofKind(objects, 'Ingress'), []);
});

test('in development, the pod network may call the internal route, and the admin route is restricted', async () => {
  const rendered = await renderEnvironment('minikube');
  for (const release of ['app1-front', 'app2-front']) {
    const objects = objectsOf(rendered.get(release) ?? '');
    const ranges = (name: string): string[] =>
      only(objects, 'Middleware', `${release}-${name}`).spec.ipAllowList.sourceRange;
    assert.ok(ranges('internal').includes('10.244.0.0/16'));
    assert.ok(ranges('admin').length > 0 && !ranges('admin').includes('0.0.0.0/0'));
  }
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

const configuration = (objects: readonly KubernetesObject[]): string =>
  only(objects, 'ConfigMap').data['nginx.conf'];

test('the configuration is complete: braces match, no template is left', async () => {
  const text = configuration(await render('frontend'));
  const code = text.replace(/"[^"\n]*"|'[^'\n]*'|#.*$/gm, '');
  assert.is(code.split('{').length, code.split('}').length);
  assert.not.match(text, /\{\{|<no value>/);
  assert.match(text, 'set $backend "app-back.backend.svc.cluster.local:80";');
});

test('every spelling of the parameter env gets 404, other parameters do not', async () => {
  const text = configuration(await render('frontend'));
  const [, expression = ''] = /"~\*(.+)" 1;/.exec(text) ?? [];
  const asks = (address: string): boolean => new RegExp(expression, 'i').test(address);
  const asking = [
    '/api?env',
    '/api?env=true',
    '/?env=1',
    '/api?a=b&env=true',
    '/api?%65nv=true',
    '/api?e%6Ev=true',
    '/api?en%76=t',
    '/api?%65%6e%76=T',
    '/api?x;env=1',
    '/api?env&a',
    '/api?ENV=true',
    // nginx cuts $args at the #, but passes on the whole line
    '/api?x=1#&env=true',
    '/api#?env=true',
  ];
  for (const address of asking) assert.ok(asks(address), address);
  const harmless = [
    '/env',
    '/api',
    '/?environment=true',
    '/?a=env',
    '/?xenv=true',
    '/?wait=1s',
    '/?env2=1',
    '/?my-env=1',
  ];
  for (const address of harmless) assert.not.ok(asks(address), address);
  assert.match(text, /if \(\$asks_for_environment\) \{\s+return 404;/);
  assert.match(text, /location = \/health \{\s+return 404;/);
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
