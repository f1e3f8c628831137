import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Pod, unreadyOf } from '../../../lib/kubernetes/pods.ts';

const pod = (name: string, status: Pod['status'], metadata: Partial<Pod['metadata']> = {}): Pod => ({
  metadata: { namespace: 'database', name, ...metadata },
  ...(status && { status }),
});

test('ready, finished and terminating pods are not waited for', () => {
  const ready = [{ type: 'Ready', status: 'True' }];
  const pods = [
    pod('ready', { phase: 'Running', conditions: ready }),
    pod('job', { phase: 'Succeeded' }),
    pod('leaving', { phase: 'Running' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  ];
  assert.equal(unreadyOf(pods), []);
});

test('other pods are reported with their container, scheduling or phase, in this order', () => {
  const message = '0/3 nodes are available';
  const pods = [
    pod('crashing', {
      phase: 'Running',
      containerStatuses: [{ name: 'server', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
    }),
    pod('homeless', {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', message }],
    }),
    pod('starting', { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] }),
    pod('new', undefined),
  ];
  assert.equal(
    unreadyOf(pods).map(({ object, text }) => `${object}: ${text}`),
    [
      'pod database/crashing: container server: CrashLoopBackOff',
      'pod database/homeless: 0/3 nodes are available',
      'pod database/starting: it is not ready',
      'pod database/new: it is Pending',
    ],
  );
});

test.run();
