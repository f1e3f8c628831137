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

test('a field is lost to the manager that changed it', () => {
  const lost = lostFields({ spec: { replicas: 2 } }, { spec: { replicas: 4 } }, [
    helm({ 'f:spec': { 'f:paused': {} } }),
    other('kubectl', { 'f:spec': { 'f:replicas': {} } }, { subresource: 'scale' }),
  ]);
  assert.equal(lost, [{ path: '.spec.replicas', manager: 'kubectl', theirs: 4, ours: 2 }]);
});

test('what helm still owns is not lost, however the server writes it', () => {
  const wanted = { cpu: '1000m', gone: '', selector: { a: 'b' } };
  const actual = { cpu: '1', selector: { a: 'b', added: 'by a default' } };
  assert.equal(lostFields(wanted, actual, [helm({ 'f:cpu': {}, 'f:gone': {}, 'f:selector': {} })]), []);
});

test('a field that was changed back, or changed by an unknown manager, is not lost', () => {
  const wanted = { a: { x: 1, y: 2 }, b: 1 };
  const same = { a: { y: 2, x: 1 }, b: 2 };
  assert.equal(lostFields(wanted, same, [helm({}), other('edit', { 'f:a': {} })]), []);
});

test('a removed field has no manager, and the topmost removed field is named', () => {
  const lost = lostFields(
    { metadata: { labels: { 'a/b': 'c', d: 'e' } }, data: { x: 'y' } },
    { metadata: { labels: { d: 'e' } } },
    [helm({ 'f:metadata': { 'f:labels': { 'f:d': {} } } })],
  );
  assert.equal(
    lost.map(({ path, manager, ours }) => [path, manager, ours]),
    [
      ['.metadata.labels[a/b]', undefined, 'c'],
      ['.data', undefined, { x: 'y' }],
    ],
  );
});

test('elements of a list are found by their keys, wherever they stand', () => {
  const wanted = [
    { name: 'a', image: 'a:1' },
    { name: 'b', image: 'b:1' },
    { name: 'c', image: 'c:1' },
  ];
  const actual = [
    { name: 'sidecar', image: 's:1' },
    { name: 'b', image: 'b:2' },
    { name: 'a', image: 'a:1' },
  ];
  const lost = lostFields({ containers: wanted }, { containers: actual }, [
    helm({
      'f:containers': {
        'k:{"name":"a"}': { 'f:name': {}, 'f:image': {} },
        'k:{"name":"b"}': { 'f:name': {} },
      },
    }),
    other('kubectl-set', {
      'f:containers': { 'k:{"name":"b"}': { 'f:image': {} }, 'k:{"name":"sidecar"}': {} },
    }),
  ]);
  assert.equal(
    lost.map(({ path, manager }) => [path, manager]),
    [
      ['.containers[b].image', 'kubectl-set'],
      ['.containers[c]', undefined],
    ],
  );
});

test('a key may have parts that only the server fills in, and an element of a set is its own key', () => {
  const wanted = { ports: [{ containerPort: 80 }], finalizers: ['a', 'b'] };
  const actual = { ports: [{ containerPort: 80, protocol: 'TCP' }], finalizers: ['a'] };
  const owned = {
    'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { 'f:containerPort': {} } },
    'f:finalizers': { 'v:"a"': {} },
  };
  assert.equal(
    lostFields(wanted, actual, [helm(owned)]).map(({ path }) => path),
    ['.finalizers[b]'],
  );
});

test('a part replaced as a whole is compared as a whole, even an empty one', () => {
  const lost = lostFields(
    { podSelector: {}, args: ['a', 'b'] },
    { podSelector: { x: 'y' }, args: ['b', 'a'] },
    [helm({}), other('kubectl-edit', { 'f:podSelector': {}, 'f:args': {} })],
  );
  assert.equal(
    lost.map(({ path, ours }) => [path, ours]),
    [
      ['.podSelector', {}],
      ['.args', ['a', 'b']],
    ],
  );
});

test('of several managers the last one counts, never one of the status', () => {
  const field = { 'f:a': {} };
  const lost = lostFields({ a: 1 }, { a: 2 }, [
    other('second', field, { time: '2026-01-02T00:00:00Z' }),
    other('first', field, { time: '2026-01-01T00:00:00Z' }),
    other('controller', field, { subresource: 'status', time: '2026-01-03T00:00:00Z' }),
  ]);
  assert.is(lost[0]?.manager, 'second');
});

test('only helm’s apply counts as helm: no similar name, and no update in its name', () => {
  const field = { 'f:a': {} };
  for (const changed of [
    other('helm-hotfix', field, { operation: 'Update' }),
    other('helm', field, { operation: 'Update' }),
  ]) {
    const lost = lostFields({ a: 1, b: 1 }, { a: 2, b: 1 }, [
      other('helm', { 'f:b': {} }, { operation: 'Apply' }),
      changed,
    ]);
    assert.equal(lost, [{ path: '.a', manager: changed.manager, theirs: 2, ours: 1 }]);
  }
  // Helm 3, and Helm 4 after it, apply on the client's side.
  assert.equal(lostFields({ a: 1 }, { a: '1' }, [other('helm', field, { operation: 'Update' })]), []);
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
