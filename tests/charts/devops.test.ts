import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ofKind, only, render, type Tree } from './render.ts';

/* The namespaces of the chart `devops`, their limits, and the rights of the teams. */

const test = suite('devops');

const devops = (values: Tree = {}) => render('devops', { values });
const namespaces = ['backend', 'core', 'database', 'frontend', 'vault'];

test('namespaces outlive the release, reject pods that are not "restricted", and have quotas and limits', async () => {
  const objects = await devops();
  const made = ofKind(objects, 'Namespace');
  assert.equal(made.map(({ metadata }) => metadata.name).sort(), namespaces);
  for (const { metadata } of made) {
    assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    for (const mode of ['enforce', 'audit', 'warn'])
      assert.is(metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted', metadata.name);
  }
  for (const kind of ['ResourceQuota', 'LimitRange'])
    assert.equal(
      ofKind(objects, kind)
        .map(({ metadata }) => metadata.namespace)
        .sort(),
      namespaces,
    );
  for (const { metadata, spec } of ofKind(objects, 'LimitRange')) {
    if (!/^(back|front)end$/.test(metadata.namespace ?? '')) continue;
    const [limit] = spec.limits;
    assert.is(limit.type, 'Container');
    assert.equal(limit.defaultRequest, { cpu: '100m', memory: '100Mi' });
    assert.equal(limit.max, { cpu: '500m', memory: '500Mi' });
  }
});
type Rule = { apiGroups: string[]; resources: string[]; verbs: string[] };

/** Roles by `namespace/name`. */
const roles = async (): Promise<Map<string, Rule[]>> =>
  new Map(
    ofKind(await devops(), 'Role').map(({ metadata, rules }) => [
      `${metadata.namespace}/${metadata.name}`,
      rules as Rule[],
    ]),
  );

const verbsFor = (rules: readonly Rule[], group: string, resource: string): string[] =>
  rules
    .filter(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(resource))
    .flatMap(({ verbs }) => verbs);

test('each team has its namespaces, and a group of the identity provider is bound to each role', async () => {
  const found = await roles();
  const own = (team: string) =>
    [...found.keys()].filter((name) => name.endsWith(`/team-${team}`)).map((name) => name.split('/')[0]);
  assert.equal(own('backend'), ['backend']);
  assert.equal(own('frontend'), ['frontend']);
  assert.equal(own('devops').sort(), namespaces);
  assert.equal(own('deployers').sort(), own('devops').sort());
  const objects = await devops({ teams: { backend: { groups: ['one', 'two'] } } });
  const binding = ofKind(objects, 'RoleBinding').find(({ metadata }) => metadata.name === 'team-backend');
  assert.equal(
    binding?.subjects.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`),
    ['Group one', 'Group two'],
  );
  assert.is(binding?.roleRef.name, 'team-backend');
});

test('only deployers can read Secrets or create objects that could reveal one', async () => {
  for (const [name, rules] of await roles()) {
    const deploys = /^(backend|frontend)\/team-deployers$/.test(name);
    const showing = [
      ...verbsFor(rules, '', 'secrets'),
      ...verbsFor(rules, '', 'pods/exec'),
      ...verbsFor(rules, '', 'pods/portforward'),
      ...verbsFor(rules, 'apps', 'deployments').filter((verb) => !/^(get|list|watch)$/.test(verb)),
    ];
    assert.is(showing.length > 0, deploys, name);
    for (const { apiGroups, resources, verbs } of rules) {
      assert.not.ok(apiGroups.includes('*') || verbs.includes('*'), name);
      // every resource of a group is read-only
      if (resources.includes('*')) assert.equal(verbs, ['get', 'list', 'watch'], name);
      assert.not.ok(apiGroups.includes('') && resources.includes('*'), name);
      assert.not.ok(apiGroups.includes('rbac.authorization.k8s.io'), name);
      const revealing = ['pods/attach', 'pods/ephemeralcontainers', 'pods/proxy', 'serviceaccounts/token'];
      assert.not.ok(
        resources.some((resource) => revealing.includes(resource)),
        name,
      );
    }
  }
});

test('only cluster observers read cluster-scoped objects, and they change nothing', async () => {
  const objects = await devops();
  for (const { verbs } of only(objects, 'ClusterRole').rules as Rule[])
    assert.ok(verbs.every((verb) => /^(get|list|watch)$/.test(verb)));
  const subjects = only(objects, 'ClusterRoleBinding').subjects.map(({ name }: { name: string }) => name);
  assert.equal(subjects, ['k8s-deployment:deployers', 'k8s-deployment:devops']);
  const nobody = { devops: { observesCluster: false }, deployers: { observesCluster: false } };
  assert.equal(ofKind(await devops({ teams: nobody }), 'ClusterRole'), []);
});

test('a dropped team has no role, and a dropped namespace no object', async () => {
  const objects = await devops({ teams: { backend: null }, namespaces: { vault: null } });
  assert.not.ok(objects.some(({ metadata }) => metadata.name === 'vault' || metadata.namespace === 'vault'));
  const names = ofKind(objects, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  assert.not.ok(names.some((name) => name.endsWith('team-backend')));
  assert.ok(names.includes('backend/team-devops'));
});

test.run();
