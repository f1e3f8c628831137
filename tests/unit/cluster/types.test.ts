import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { missingTypes, typesOf, waitForTypes } from '../../../lib/cluster/embedded/types.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const manifest = (plural: string): string =>
  `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    name: other\n  name: ${plural}.example.test\nspec:\n  group: example.test\n  versions:\n  - additionalPrinterColumns: []\n    name: v1beta1\n    served: true\n`;
const types = typesOf([manifest('keys'), manifest('locks')]);

/** An API whose discovery has `served`; `onPatch` is called with the name of a changed type. */
const scripted = (served: Set<string>, onPatch: (name: string) => void = () => {}) =>
  scriptedApi((method, path) => {
    if (method === 'PATCH') onPatch(path.slice(path.lastIndexOf('/') + 1));
    if (served.size === 0) return { status: 404, body: 'not found' };
    return { body: { resources: [...served].map((name) => ({ name })) } };
  });
const called = ({ calls }: ReturnType<typeof scriptedApi>): string[] =>
  calls.map(({ method, path }) => `${method} ${path}`);

const never = new AbortController().signal;
const hasty = { touchMs: 0, failMs: 60_000 };

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
  const played = scripted(new Set(['keys', 'keys/status']));
  assert.equal(await missingTypes(played.api, types), [types[1]]);
  assert.equal(called(played), ['GET /apis/example.test/v1beta1']);
  assert.equal(await missingTypes(scripted(new Set()).api, types), types);
});

test('an incomplete CRD is touched once and then awaited; served ones are not changed', async () => {
  const served = new Set(['keys']);
  const played = scripted(served, (name) => served.add(name.split('.')[0] ?? ''));
  await waitForTypes(played.api, types, never, hasty);
  const touched = called(played).filter((call) => call.startsWith('PATCH'));
  assert.equal(touched, ['PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/locks.example.test']);
});

test('a CRD that is still not served is named; the wait ends with the run', async () => {
  const { api } = scripted(new Set(['keys']));
  const waiting = waitForTypes(api, types, never, { ...hasty, failMs: 0 });
  await fails(waiting, { what: 'the API server does not serve locks.example.test' });
  const stop = new AbortController();
  const stopped = scripted(new Set(['keys']), () => stop.abort());
  assert.is((await failureOf(waitForTypes(stopped.api, types, stop.signal, hasty))).name, 'AbortError');
});

test.run();
