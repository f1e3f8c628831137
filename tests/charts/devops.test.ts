import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ofKind, only, render, type Tree } from './render.ts';

/* The namespaces of the chart `devops`, their limits, and the teams. Rights of teams: tests/integration/environment. */

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

test('every group of a team is bound to its role, which grants no single named object', async () => {
  const objects = await devops({ teams: { backend: { groups: ['one', 'two'] } } });
  const { roleRef, subjects } = only(objects, 'RoleBinding', 'team-backend');
  assert.equal(roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'team-backend' });
  assert.equal(
    subjects.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`),
    ['Group one', 'Group two'],
  );
  for (const { rules } of ofKind(objects, 'Role'))
    assert.not.ok(rules.some((rule: object) => 'resourceNames' in rule));
});

test('a dropped team has no role, and a dropped namespace no object', async () => {
  const objects = await devops({ teams: { backend: null }, namespaces: { vault: null } });
  assert.not.ok(objects.some(({ metadata }) => metadata.name === 'vault' || metadata.namespace === 'vault'));
  const names = ofKind(objects, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  assert.not.ok(names.some((name) => name.endsWith('team-backend')));
  assert.ok(names.includes('backend/team-devops'));
});

test.run();
