import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  aboutMetrics,
  type PodStatus,
  problemOf,
  seen,
  telling,
} from '../../../lib/kubernetes/diagnostics.ts';

const container = (state: object, name = 'backend') => ({ name, state });

test('a pod that starts or runs has no problem', () => {
  assert.is(problemOf({}), undefined);
  assert.is(problemOf({ phase: 'Pending' }), undefined);
  assert.is(problemOf({ phase: 'Running', containerStatuses: [container({ running: {} })] }), undefined);
  for (const reason of ['ContainerCreating', 'PodInitializing']) {
    assert.is(problemOf({ containerStatuses: [container({ waiting: { reason } })] }), undefined);
  }
  assert.is(
    problemOf({ phase: 'Succeeded', containerStatuses: [container({ terminated: { exitCode: 0 } })] }),
    undefined,
  );
});

test('a pod’s problem is kept after its removal, but not once it is ready', () => {
  const pulling = {
    containerStatuses: [container({ waiting: { reason: 'ErrImagePull', message: 'none' } })],
  };
  const ended = { containerStatuses: [container({ terminated: { exitCode: 0 } })] };
  const ready = { containerStatuses: [{ ...container({ running: {} }), ready: true }] };
  const problem = (...statuses: readonly PodStatus[]) =>
    statuses.reduce<ReturnType<typeof seen> | undefined>(seen, undefined)?.problem;
  assert.is(problem(pulling, ended), 'container backend: ErrImagePull: none');
  assert.is(problem(pulling, {}), 'container backend: ErrImagePull: none');
  assert.is(problem(pulling, ready), undefined);
  assert.is(problem(ready, ended), undefined);
});

test('warnings about slow pods are ignored, and what prevents pods from being created comes first', () => {
  const ready = { containerStatuses: [{ ...container({ running: {} }), ready: true }] };
  const pods = new Map([
    ['here/slow', seen(seen(undefined, ready), {})],
    ['here/broken', seen(undefined, { containerStatuses: [container({ running: {} })] })],
  ]);
  const [slow, broken, quota] = [
    { object: 'pod here/slow', text: 'Unhealthy: connection refused' },
    { object: 'pod here/broken', text: 'Unhealthy: connection refused' },
    { object: 'replicaset here/some', text: 'FailedCreate: exceeded quota' },
  ];
  assert.equal(telling([slow, broken, quota], pods), [quota, broken]);
});

test('a waiting container is reported with the reason', () => {
  const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
  assert.is(
    problemOf({ containerStatuses: [container({ waiting })] }),
    'container backend: ImagePullBackOff: no such image',
  );
  assert.is(
    problemOf({ containerStatuses: [container({ waiting: { reason: 'CrashLoopBackOff' } })] }),
    'container backend: CrashLoopBackOff',
  );
});

test('a failed container’s own message comes first', () => {
  const terminated = { exitCode: 1, reason: 'Error', message: 'FAILED database login: no password\n' };
  assert.is(
    problemOf({ phase: 'Failed', containerStatuses: [container({ terminated })] }),
    'FAILED database login: no password',
  );
  assert.is(
    problemOf({ containerStatuses: [container({ terminated: { exitCode: 137, reason: 'OOMKilled' } })] }),
    'container backend ended with exit code 137 (OOMKilled)',
  );
});

test('an init container that failed explains the containers that wait for it', () => {
  const status = {
    initContainerStatuses: [container({ terminated: { exitCode: 2, reason: 'Error' } }, 'prepare')],
    containerStatuses: [container({ waiting: { reason: 'PodInitializing' } })],
  };
  assert.is(problemOf(status), 'container prepare ended with exit code 2 (Error)');
});

test('a failed pod without containers is reported with its own reason', () => {
  assert.is(problemOf({ phase: 'Failed', reason: 'Evicted', message: 'low on memory' }), 'low on memory');
  assert.is(problemOf({ phase: 'Failed', reason: 'Evicted' }), 'Evicted');
  assert.is(problemOf({ phase: 'Failed' }), 'failed');
});

test('autoscaler warnings before the first metrics are ignored', () => {
  assert.match('FailedGetResourceMetric: no metrics returned from resource metrics API', aboutMetrics);
  assert.match('FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1)', aboutMetrics);
  assert.not.match('FailedCreate: pods "x" is forbidden', aboutMetrics);
});

test.run();
