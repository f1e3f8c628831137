import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  addedFields,
  type Fields,
  lostFields,
  type ManagedFields,
} from '../../../lib/helm/managed-fields.ts';

const helm = (fieldsV1: Fields): ManagedFields => ({ manager: 'helm', fieldsV1 });
const other = (manager: string, fieldsV1: Fields, more: Partial<ManagedFields> = {}): ManagedFields => ({
  manager,
  fieldsV1,
  ...more,
});

/** The lost fields, each as `path by manager: value of helm`. */
const lost = (wanted: object, actual: object, ...entries: ManagedFields[]): string[] =>
  lostFields(wanted, actual, entries).map(
    ({ path, manager = 'nobody', ours }) => `${path} by ${manager}: ${JSON.stringify(ours)}`,
  );

test('a field is lost to the manager that changed it', () => {
  const found = lostFields({ spec: { replicas: 2 } }, { spec: { replicas: 4 } }, [
    helm({ 'f:spec': { 'f:paused': {} } }),
    other('kubectl', { 'f:spec': { 'f:replicas': {} } }, { subresource: 'scale' }),
  ]);
  assert.equal(found, [{ path: '.spec.replicas', manager: 'kubectl', theirs: 4, ours: 2 }]);
});

test('a field is not lost if helm owns it, however the server writes it, if it was changed back, or its manager is unknown', () => {
  const wanted = { cpu: '1000m', gone: '', empty: '', selector: { a: 'b' } };
  const actual = { cpu: '1', selector: { a: 'b', added: 'by a default' } };
  assert.equal(lost(wanted, actual, helm({ 'f:cpu': {}, 'f:gone': {}, 'f:selector': {} })), []);
  const same = { a: { y: 2, x: 1 }, b: 2 };
  assert.equal(lost({ a: { x: 1, y: 2 }, b: 1 }, same, helm({}), other('edit', { 'f:a': {} })), []);
});

test('a removed field has no manager, and the topmost removed field is named', () => {
  const wanted = { metadata: { labels: { 'a/b': 'c', d: 'e' } }, data: { x: 'y' } };
  const owned = helm({ 'f:metadata': { 'f:labels': { 'f:d': {} } } });
  assert.equal(lost(wanted, { metadata: { labels: { d: 'e' } } }, owned), [
    '.metadata.labels[a/b] by nobody: "c"',
    '.data by nobody: {"x":"y"}',
  ]);
});

test('elements of a list are found by their keys, wherever they stand', () => {
  const [a, b, c, sidecar] = ['a', 'b', 'c', 'sidecar'].map((name) => ({ name, image: `${name}:1` }));
  const owned = {
    'k:{"name":"a"}': { 'f:name': {}, 'f:image': {} },
    'k:{"name":"b"}': { 'f:name': {} },
  };
  const theirs = { 'k:{"name":"b"}': { 'f:image': {} }, 'k:{"name":"sidecar"}': {} };
  const found = lost(
    { containers: [a, b, c] },
    { containers: [sidecar, { ...b, image: 'b:2' }, a] },
    helm({ 'f:containers': owned }),
    other('kubectl-set', { 'f:containers': theirs }),
  );
  assert.equal(found, [
    '.containers[b].image by kubectl-set: "b:1"',
    '.containers[c] by nobody: {"name":"c","image":"c:1"}',
  ]);
});

test('a key may have parts that only the server fills in, and an element of a set is its own key', () => {
  const wanted = { ports: [{ containerPort: 80 }], finalizers: ['a', 'b'] };
  const actual = { ports: [{ containerPort: 80, protocol: 'TCP' }], finalizers: ['a'] };
  const owned = {
    'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { 'f:containerPort': {} } },
    'f:finalizers': { 'v:"a"': {} },
  };
  assert.equal(lost(wanted, actual, helm(owned)), ['.finalizers[b] by nobody: "b"']);
});

test('a part replaced as a whole is compared as a whole, even an empty one', () => {
  const wanted = { podSelector: {}, args: ['a', 'b'] };
  const actual = { podSelector: { x: 'y' }, args: ['b', 'a'] };
  const edited = other('kubectl-edit', { 'f:podSelector': {}, 'f:args': {} });
  assert.equal(lost(wanted, actual, helm({}), edited), [
    '.podSelector by kubectl-edit: {}',
    '.args by kubectl-edit: ["a","b"]',
  ]);
});

test('of several managers the last one counts, never one of the status', () => {
  const field = { 'f:a': {} };
  const found = lost(
    { a: 1 },
    { a: 2 },
    other('second', field, { time: '2026-01-02T00:00:00Z' }),
    other('first', field, { time: '2026-01-01T00:00:00Z' }),
    other('controller', field, { subresource: 'status', time: '2026-01-03T00:00:00Z' }),
  );
  assert.equal(found, ['.a by second: 1']);
});

test('only helm’s apply counts as helm: no similar name, and no update in its name', () => {
  const field = { 'f:a': {} };
  const applied = other('helm', { 'f:b': {} }, { operation: 'Apply' });
  for (const [name, operation] of [
    ['helm-hotfix', 'Apply'],
    ['helm', 'Update'],
  ] as const) {
    const changed = other(name, field, { operation });
    assert.equal(lost({ a: 1, b: 1 }, { a: 2, b: 1 }, applied, changed), [`.a by ${name}: 1`]);
  }
  // Helm 3, and Helm 4 after it, apply on the client's side.
  assert.equal(lost({ a: 1 }, { a: '1' }, other('helm', field, { operation: 'Update' })), []);
});

test('additions besides helm’s fields are reported, once per subtree', () => {
  const container = { name: 'back', image: 'a:1' };
  const wanted = { spec: { selector: { a: 'b' }, containers: [container] }, data: { a: 'b' } };
  const actual = {
    metadata: { labels: { x: 'y' } },
    spec: {
      selector: { a: 'b' },
      ingress: [{}],
      paused: true,
      containers: [
        { ...container, image: 'b:1', env: [{ name: 'DB_HOST', value: 'evil' }] },
        { name: 'evil', image: 'evil' },
      ],
      template: { metadata: { annotations: { restartedAt: 'now' } } },
    },
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
  const added = addedFields(wanted, actual, [
    other('kubectl-set', { 'f:spec': { 'f:containers': containers, 'f:gone': {} } }),
    other('kubectl-patch', { 'f:spec': { 'f:ingress': {}, 'f:selector': { 'f:a': {} } } }),
    other('kubectl-edit', { 'f:metadata': { 'f:labels': { 'f:x': {} } }, 'f:data': { 'f:more': {} } }),
    other('kubectl-rollout', { 'f:spec': annotations }),
    // Changes of controllers, a scaling, and fields from before helm adopted the object.
    other('manager', { 'f:spec': { 'f:paused': {} } }),
    other('kubectl', { 'f:spec': { 'f:paused': {} } }, { subresource: 'scale' }),
    other('kubectl-create', { 'f:spec': { 'f:paused': {} } }),
  ]);
  assert.equal(added, [
    { path: '.spec.containers[back].env[DB_HOST]', manager: 'kubectl-set' },
    { path: '.spec.containers[evil]', manager: 'kubectl-set' },
    { path: '.spec.ingress', manager: 'kubectl-patch' },
    { path: '.data.more', manager: 'kubectl-edit' },
  ]);
});

test.run();
