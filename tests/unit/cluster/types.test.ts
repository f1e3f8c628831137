import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Api } from '../../../lib/cluster/embedded/api.ts';
import { missingTypes, typesOf, waitForTypes } from '../../../lib/cluster/embedded/types.ts';
import { failureOf } from '../../rig/task-context.ts';

const manifest = (plural: string): string =>
  `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    name: other\n  name: ${plural}.example.test\nspec:\n  group: example.test\n  versions:\n  - additionalPrinterColumns: []\n    name: v1beta1\n    served: true\n`;
const types = typesOf([manifest('keys'), manifest('locks')]);

/** An API whose discovery has `served`, and takes `onPatch` as its answer to a change of a type. */
function scripted(served: Set<string>, onPatch: (name: string) => void = () => {}) {
  const calls: string[] = [];
  const api: Api = {
    call: async (method, path) => {
      calls.push(`${method} ${path}`);
      if (method === 'PATCH') onPatch(path.slice(path.lastIndexOf('/') + 1));
      if (method === 'PATCH') return { status: 200, body: {} };
      if (served.size === 0) return { status: 404, body: 'not found' };
      return { status: 200, body: { resources: [...served].map((name) => ({ name })) } };
    },
    watch: () => Promise.reject(new Error('not expected')),
  };
  return { api, calls };
}

const never = new AbortController().signal;
const hasty = { touchMs: 0, failMs: 60_000, pollMs: 0 };

test('a manifest names its type', () => {
  assert.equal(types, [
    { name: 'keys.example.test', version: 'v1beta1' },
    { name: 'locks.example.test', version: 'v1beta1' },
  ]);
  assert.equal(typesOf(['metadata:\n  name: a.b\nversions:\n  - name: v1\n']), [
    { name: 'a.b', version: 'v1' },
  ]);
  assert.throws(() => typesOf(['kind: Node\n']), /names no type/);
});

test('what discovery does not list is missing; a group is asked for once', async () => {
  const { api, calls } = scripted(new Set(['keys', 'keys/status']));
  assert.equal(await missingTypes(api, types), [types[1]]);
  assert.equal(calls, ['GET /apis/example.test/v1beta1']);
  assert.equal(await missingTypes(scripted(new Set()).api, types), types);
});

test('served CRDs are not changed', async () => {
  const { api, calls } = scripted(new Set(['keys', 'locks']));
  await waitForTypes(api, types, never, hasty);
  assert.equal(calls, ['GET /apis/example.test/v1beta1']);
});

test('an incomplete CRD is touched once and then awaited', async () => {
  const served = new Set(['keys']);
  const { api, calls } = scripted(served, (name) => served.add(name.split('.')[0] ?? ''));
  await waitForTypes(api, types, never, hasty);
  assert.equal(
    calls.filter((call) => call.startsWith('PATCH')),
    ['PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/locks.example.test'],
  );
});

test('a CRD that is still not served is named', async () => {
  const { api } = scripted(new Set(['keys']));
  const error = await failureOf(waitForTypes(api, types, never, { ...hasty, failMs: 0 }));
  assert.is(error.what, 'the API server does not serve locks.example.test');
});

test('the wait ends with the run', async () => {
  const stop = new AbortController();
  const { api } = scripted(new Set(['keys']), () => stop.abort());
  const error = await failureOf(waitForTypes(api, types, stop.signal, hasty));
  assert.is((error as Error).name, 'AbortError');
});

test.run();
