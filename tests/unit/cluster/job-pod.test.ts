import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Pod, type Result, workOff } from '../../../lib/cluster/embedded/job-pod.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';

const pod: Pod = {
  metadata: { name: 'check', namespace: 'backend', uid: '1' },
  spec: { containers: [{ name: 'check', image: 'check:1' }] },
  status: { phase: 'Running' },
};
const path = '/api/v1/namespaces/backend/pods/check';
const signal = new AbortController().signal;

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
  const last = calls.at(-1);
  assert.ok(last);
  assert.is(last.path, `${path}/status`);
  const { status } = last.body as { status: Pod['status'] & { containerStatuses: unknown[] } };
  assert.is(status.phase, 'Failed');
  const terminated = '"exitCode":1,"reason":"Error","message":"FAILED two: why"';
  assert.match(JSON.stringify(status.containerStatuses), terminated);
});

test('nothing is done for a pod that is gone, replaced or done', async () => {
  for (const answer of [
    { status: 404 },
    { body: { ...pod, metadata: { ...pod.metadata, uid: '2' } } },
    { body: { ...pod, status: { phase: 'Succeeded' } } },
  ]) {
    const { api, calls } = scriptedApi(() => answer);
    const work = () => Promise.reject(new Error('not expected'));
    await workOff({ api, pod, signal, log: () => assert.unreachable(), pauseMs: 0 }, work);
    assert.is(calls.length, 1);
  }
});

test.run();
