import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields, ManagedFields } from '../../../lib/helm/live-objects.ts';
import { compareFields, shortValues } from '../../../lib/helm/managed-fields.ts';

const by = (manager: string, fieldsV1: Fields, more: Partial<ManagedFields> = {}): ManagedFields => ({
  ...{ manager, fieldsV1, ...more },
});
const helm = (fields: Fields) => by('helm', fields);
const a = { 'f:a': {} };

/** How an object of this content, with these owners of its fields, differs from what helm wanted. */
const compared = (wanted: object, actual: object, managedFields: readonly ManagedFields[]) => {
  const metadata = { ...('metadata' in actual && (actual.metadata as object)), managedFields };
  const object = { apiVersion: 'v1', kind: 'Any', metadata: {}, ...wanted };
  return compareFields({ object, live: { ...actual, metadata } } as never);
};

/** The lost fields, each as `path by manager: value of helm`. */
const lost = (wanted: object, actual: object, ...entries: ManagedFields[]): string[] =>
  compared(wanted, actual, entries).lost.map(
    ({ path, manager = 'nobody', ours }) => `${path} by ${manager}: ${JSON.stringify(ours)}`,
  );

test('a scale to 0 leaves replicas without an owner', () => {
  const owners = [helm({ 'f:spec': { 'f:paused': {} } })];
  const { lost } = compared({ spec: { replicas: 2 } }, { spec: { replicas: 0 } }, owners);
  assert.equal(lost, [{ path: '.spec.replicas', manager: 'kubectl scale', theirs: 0, ours: 2 }]);
  assert.equal(compared({ spec: { replicas: 2 } }, { spec: { replicas: 2 } }, owners).lost, []);
});

test('a field is not lost if helm owns it, however the server writes it, if it was changed back, or its manager is unknown', () => {
  const wanted = { cpu: '1000m', gone: '', empty: '', selector: { a: 'b' } };
  const actual = { cpu: '1', selector: { a: 'b', added: 'by a default' } };
  assert.equal(lost(wanted, actual, helm({ 'f:cpu': {}, 'f:gone': {}, 'f:selector': {} })), []);
  assert.equal(lost({ a: { x: 1, y: 2 }, b: 1 }, { a: { y: 2, x: 1 }, b: 2 }, helm({}), by('edit', a)), []);
});

test('elements of a list are found by their keys, which may have parts of the server; those of a set are their own', () => {
  const [one, two, three, sidecar] = ['a', 'b', 'c', 'sidecar'].map((name) => ({ name, image: `${name}:1` }));
  const found = lost(
    { containers: [one, two, three], ports: [{ containerPort: 80 }], finalizers: ['a', 'b'] },
    {
      containers: [sidecar, { ...two, image: 'b:2' }, one],
      ...{ ports: [{ containerPort: 80, protocol: 'TCP' }], finalizers: ['a'] },
    },
    helm({
      'f:containers': {
        'k:{"name":"a"}': { 'f:name': {}, 'f:image': {} },
        'k:{"name":"b"}': { 'f:name': {} },
      },
      'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { 'f:containerPort': {} } },
      'f:finalizers': { 'v:"a"': {} },
    }),
    by('kubectl-set', {
      'f:containers': { 'k:{"name":"b"}': { 'f:image': {} }, 'k:{"name":"sidecar"}': {} },
    }),
  );
  assert.equal(found, [
    '.containers[b].image by kubectl-set: "b:1"',
    '.containers[c] by nobody: {"name":"c","image":"c:1"}',
    '.finalizers[b] by nobody: "b"',
  ]);
});

test('a part replaced as a whole is compared as a whole, even an empty one', () => {
  const wanted = { podSelector: {}, args: ['a', 'b'] };
  const actual = { podSelector: { x: 'y' }, args: ['b', 'a'] };
  assert.equal(lost(wanted, actual, helm({}), by('kubectl-edit', { 'f:podSelector': {}, 'f:args': {} })), [
    '.podSelector by kubectl-edit: {}',
    '.args by kubectl-edit: ["a","b"]',
  ]);
});

test('of several managers the last one counts, never one of the status; only helm’s apply counts as helm', () => {
  const at = (manager: string, month: number, subresource = '') =>
    by(manager, a, { time: `2026-0${month}-01T00:00:00Z`, subresource });
  const found = lost({ a: 1 }, { a: 2 }, at('second', 2), at('first', 1), at('controller', 3, 'status'));
  assert.equal(found, ['.a by second: 1']);
  // No similar name, and no update in its name.
  const applied = by('helm', { 'f:b': {} }, { operation: 'Apply' });
  for (const [name, operation] of [
    ['helm-hotfix', 'Apply'],
    ['helm', 'Update'],
  ] as const)
    assert.equal(lost({ a: 1, b: 1 }, { a: 2, b: 1 }, applied, by(name, a, { operation })), [
      `.a by ${name}: 1`,
    ]);
  // Helm 3, and Helm 4 after it, apply on the client's side.
  assert.equal(lost({ a: 1 }, { a: '1' }, by('helm', a, { operation: 'Update' })), []);
});

test('additions besides helm’s fields are reported, once per subtree', () => {
  const container = { name: 'back', image: 'a:1' };
  const selector = { a: 'b' };
  const wanted = { spec: { selector, containers: [container] }, data: { a: 'b' } };
  const evil = { name: 'evil', image: 'evil' };
  const changed = { ...container, image: 'b:1', env: [{ name: 'DB_HOST', value: 'evil' }] };
  const template = { metadata: { annotations: { restartedAt: 'now' } } };
  const actual = {
    metadata: { labels: { x: 'y' } },
    spec: { selector, ingress: [{}], paused: true, containers: [changed, evil], template },
    data: { a: 'b', more: 'c' },
  };
  const containers = {
    'k:{"name":"back"}': {
      'f:image': {},
      'f:env': { '.': {}, 'k:{"name":"DB_HOST"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
    },
    'k:{"name":"evil"}': { '.': {}, 'f:name': {}, 'f:image': {} },
  };
  const annotations = { 'f:template': { 'f:metadata': { 'f:annotations': { 'f:restartedAt': {} } } } };
  const paused = { 'f:spec': { 'f:paused': {} } };
  const { added } = compared(wanted, actual, [
    by('kubectl-set', { 'f:spec': { 'f:containers': containers, 'f:gone': {} } }),
    by('kubectl-patch', { 'f:spec': { 'f:ingress': {}, 'f:selector': a } }),
    by('kubectl-edit', { 'f:metadata': { 'f:labels': { 'f:x': {} } }, 'f:data': { 'f:more': {} } }),
    by('kubectl-rollout', { 'f:spec': annotations }),
    // Changes of controllers, a scaling, and fields from before helm adopted the object.
    ...[by('manager', paused), by('kubectl', paused, { subresource: 'scale' }), by('kubectl-create', paused)],
  ]);
  assert.equal(added, [
    { path: '.spec.containers[back].env[DB_HOST]', manager: 'kubectl-set' },
    { path: '.spec.containers[evil]', manager: 'kubectl-set' },
    { path: '.spec.ingress', manager: 'kubectl-patch' },
    { path: '.data.more', manager: 'kubectl-edit' },
  ]);
});

test('two values are shown on one line each; long ones and those of several lines are cut where they differ', () => {
  const long = 'x'.repeat(100);
  for (const [one, other, ...shown] of [
    ['a', { b: 1 }, 'a', '{"b":1}'],
    [4, true, '4', 'true'],
    [`a${long}`, `b${long}`, `a${'x'.repeat(59)}…`, `b${'x'.repeat(59)}…`],
    [
      `${long}-one`,
      `${long}-other${long}`,
      `…${'x'.repeat(18)}-one`,
      `…${'x'.repeat(18)}-other${'x'.repeat(36)}…`,
    ],
    ['same\nlevel=debug\nend', 'same\nlevel=info\nend', '…level=debug…', '…level=info…'],
    ['a\nb', 'a', 'a…', 'a'],
    ['\nb', 'a\nb', '…', 'a…'],
    [undefined, 'a\nb', '', 'a…'],
  ])
    assert.equal(shortValues(one, other), shown);
});

test.run();
