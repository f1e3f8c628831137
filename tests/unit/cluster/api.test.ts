import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyManifests } from '../../../lib/cluster/embedded/apply.ts';
import { type Pod, type Result, workOff } from '../../../lib/cluster/embedded/job-pod.ts';
import { missingTypes, typesOf, waitForTypes } from '../../../lib/cluster/embedded/types.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { signal } = new AbortController();
const node = 'kind: Node\nmetadata:\n  name: one\n';

test('each document is sent unchanged to its path, until its namespace exists', async () => {
  const left = [404];
  const { api, calls } = scriptedApi(() => ({ status: left.shift() ?? 200 }));
  const account = 'kind: ServiceAccount\nmetadata:\n  name: reviewer\n  namespace: kube-system\n';
  await applyManifests(api, `# first\n---\n${account}`);
  const query = 'fieldManager=kubectl&force=true&fieldValidation=Strict';
  const path = `/api/v1/namespaces/kube-system/serviceaccounts/reviewer?${query}`;
  const call = { method: 'PATCH', path, body: `\n${account}`, type: 'application/apply-patch+yaml' };
  assert.equal(calls, [call, call]);
});

test('a refusal names the object and the reason, and an unknown kind is a bug', async () => {
  const { api } = scriptedApi(() => ({ status: 422, body: { message: 'because' } }));
  await fails(applyManifests(api, node), { what: 'the API server refuses Node `one`', why: 'because' });
  const unknown = await failureOf(applyManifests(api, node.replace('Node', 'Pod')));
  assert.is(unknown.message, 'cannot apply Pod `one`');
});

const manifest = (plural: string, version: string): string => `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    name: other
  name: ${plural}.example.test
spec:
  versions:
${version}
    served: true
`;
const forms = ['  - additionalPrinterColumns: []\n    name: v1beta1', '  - name: v1beta1'] as const;
const types = typesOf([manifest('keys', forms[0]), manifest('locks', forms[1])]);

/** An API whose discovery has `served`; `onPatch` is called with the name of a changed type. */
const scripted = (served: readonly string[] | Set<string>, onPatch: (name: string) => void = () => {}) => {
  const { api, calls } = scriptedApi((method, path) => {
    if (method === 'PATCH') onPatch(path.slice(path.lastIndexOf('/') + 1));
    const resources = [...served].map((name) => ({ name }));
    return resources.length === 0 ? { status: 404, body: 'not found' } : { body: { resources } };
  });
  return { api, called: () => calls.map(({ method, path }) => `${method} ${path}`) };
};

const hasty = { touchMs: 0, failMs: 60_000 };

test('types that discovery does not list are missing; a group is asked for once', async () => {
  const { api, called } = scripted(['keys', 'keys/status']);
  assert.equal(await missingTypes(api, types), [{ name: 'locks.example.test', version: 'v1beta1' }]);
  assert.equal(called(), ['GET /apis/example.test/v1beta1']);
  assert.equal(await missingTypes(scripted([]).api, types), types);
  assert.throws(() => typesOf(['kind: Node\n']), /names no type/);
});

test('an incomplete CRD is touched once and then awaited; served ones are not changed', async () => {
  const served = new Set(['keys']);
  const { api, called } = scripted(served, (name) => served.add(name.split('.')[0] ?? ''));
  await waitForTypes(api, types, signal, hasty);
  const touched = called().filter((call) => call.startsWith('PATCH'));
  assert.equal(touched, ['PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/locks.example.test']);
});

test('a CRD that is still not served is named; the wait ends with the run', async () => {
  const waiting = waitForTypes(scripted(['keys']).api, types, signal, { ...hasty, failMs: 0 });
  await fails(waiting, { what: 'the API server does not serve locks.example.test' });
  const stop = new AbortController();
  const stopped = scripted(['keys'], () => stop.abort());
  assert.is((await failureOf(waitForTypes(stopped.api, types, stop.signal, hasty))).name, 'AbortError');
});

const pod: Pod = {
  metadata: { name: 'check', namespace: 'backend', uid: '1' },
  spec: { containers: [{ name: 'check', image: 'check:1' }] },
  status: { phase: 'Running' },
};

test('a pod gets its result, whatever call of the API server fails meanwhile', async () => {
  const troubles = ['GET', 'work', 'PATCH', 'refused'];
  const logged: string[] = [];
  const fails = (what: string): void => {
    if (troubles[0] === what) throw new Error(`no answer to ${troubles.shift()}`);
  };
  const { api, calls } = scriptedApi((method) => {
    fails(method);
    return method === 'PATCH' && troubles.shift() === 'refused' ? { status: 503 } : { body: pod };
  });
  const work = async (): Promise<Result> => {
    fails('work');
    return { ok: false, lines: ['ok one', 'FAILED two: why'] };
  };
  await workOff({ api, pod, signal, log: (text) => logged.push(text), pauseMs: 0 }, work);
  const no = ['GET', 'work', 'PATCH'].map((what) => `no answer to ${what}`);
  assert.equal(
    logged.filter((line) => line.startsWith('has no result yet')),
    [...no, 'its status was refused: HTTP 503'].map((reason) => `has no result yet: ${reason}`),
  );
  assert.is(logged.at(-1), 'failed');
  assert.is(calls.at(-1)?.path, '/api/v1/namespaces/backend/pods/check/status');
  const status = JSON.stringify(calls.at(-1)?.body);
  for (const part of ['"phase":"Failed"', '"exitCode":1,"reason":"Error","message":"FAILED two: why"'])
    assert.match(status, part);
});

test('nothing is done for a pod that is gone, replaced or done', async () => {
  for (const answer of [
    { status: 404 },
    { body: { ...pod, metadata: { ...pod.metadata, uid: '2' } } },
    { body: { ...pod, status: { phase: 'Succeeded' } } },
  ]) {
    const { api, calls } = scriptedApi(() => answer);
    const never = () => assert.unreachable();
    await workOff({ api, pod, signal, log: never, pauseMs: 0 }, async () => assert.unreachable() as never);
    assert.is(calls.length, 1);
  }
});

test.run();
