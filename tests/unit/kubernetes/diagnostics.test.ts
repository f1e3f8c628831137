import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  aboutMetrics,
  type Finding,
  type Pod,
  type PodStatus,
  problemOf,
  seen,
  telling,
  tellWaiting,
  unreadyOf,
  warningOf,
} from '../../../lib/kubernetes/diagnostics.ts';
import { kubectlList, serverVersion } from '../../../lib/kubernetes/kubectl.ts';
import { answeringShell, environmentIn, fails } from '../../rig/task-context.ts';

const container = (state: object) => ({ name: 'backend', state });

const waiting = (reason: string, message?: string) => container({ waiting: { reason, message } });
const ended = (exitCode: number, reason?: string, message?: string) =>
  container({ terminated: { exitCode, reason, message } });

test('the problem of a pod is its container’s own message, else the reason; none while it starts or runs', () => {
  const running = [container({ running: {} })];
  const initializing = [waiting('PodInitializing')];
  const code = 'ended with exit code';
  // A failed init container explains the containers that wait for it.
  const init = [{ ...ended(2, 'Error'), name: 'prepare' }];
  for (const [status, problem] of [
    [{}],
    [{ phase: 'Pending' }],
    [{ phase: 'Running', containerStatuses: running }],
    [{ containerStatuses: [waiting('ContainerCreating')] }],
    [{ containerStatuses: initializing }],
    [{ phase: 'Succeeded', containerStatuses: [ended(0)] }],
    [{ containerStatuses: [waiting('ErrImagePull', 'none')] }, 'container backend: ErrImagePull: none'],
    [{ containerStatuses: [waiting('CrashLoopBackOff')] }, 'container backend: CrashLoopBackOff'],
    [{ phase: 'Failed', containerStatuses: [ended(1, 'Error', 'FAILED login\n')] }, 'FAILED login'],
    [{ containerStatuses: [ended(137, 'OOMKilled')] }, `container backend ${code} 137 (OOMKilled)`],
    [{ initContainerStatuses: init, containerStatuses: initializing }, `container prepare ${code} 2 (Error)`],
    [{ phase: 'Failed', reason: 'Evicted', message: 'low on memory' }, 'low on memory'],
    [{ phase: 'Failed', reason: 'Evicted' }, 'Evicted'],
    [{ phase: 'Failed' }, 'failed'],
  ] as [PodStatus, string?][])
    assert.is(problemOf(status), problem);
});

const ready = { containerStatuses: [{ ...container({ running: {} }), ready: true }] };

test('a pod’s problem is kept after its removal, but not once it is ready', () => {
  const pulling = { containerStatuses: [waiting('ErrImagePull', 'none')] };
  const done = { containerStatuses: [ended(0)] };
  const problem = (...statuses: readonly PodStatus[]) =>
    statuses.reduce<ReturnType<typeof seen> | undefined>(seen, undefined)?.problem;
  assert.is(problem(pulling, done), 'container backend: ErrImagePull: none');
  assert.is(problem(pulling, {}), 'container backend: ErrImagePull: none');
  assert.is(problem(pulling, ready), undefined);
  assert.is(problem(ready, done), undefined);
});

test('warnings about slow pods are ignored, and what prevents pods from being created comes first', () => {
  const pods = new Map([
    ['here/slow', seen(seen(undefined, ready), {})],
    ['here/broken', seen(undefined, { containerStatuses: [container({ running: {} })] })],
  ]);
  const text = 'Unhealthy: refused';
  const unhealthy = ['slow', 'broken'].map((name) => ({ object: `pod here/${name}`, text }));
  const quota = { object: 'replicaset here/some', text: 'FailedCreate: exceeded quota' };
  assert.equal(telling([...unhealthy, quota], pods), [quota, unhealthy[1]]);
  // Of an autoscaler before the first metrics.
  assert.match('FailedGetResourceMetric: no metrics returned from resource metrics API', aboutMetrics);
  assert.match('FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1)', aboutMetrics);
  assert.not.match('FailedCreate: pods "x" is forbidden', aboutMetrics);
});

test('a warning has all lines of its message on one, and those of other namespaces are left out', () => {
  const warning = (namespace: string) => {
    const message = 'No client: a|b\n\nCode: 503. Errors:\n* sealed\n';
    const involvedObject = { namespace, kind: 'Vault', name: 'a' };
    return warningOf(JSON.stringify({ involvedObject, reason: 'Failed', message }), new Set(['here']));
  };
  const text = 'Failed: No client: a|b Code: 503. Errors: * sealed';
  assert.equal([warning('here'), warning('there')], [{ object: 'vault here/a', text }, undefined]);
  assert.is(warningOf('{"involvedObject":{"namesp', new Set(['here'])), undefined);
});

test('a pod that is not ready is reported with its container, scheduling or phase; a finished or terminating one is not', () => {
  const condition = (type: string, status: string, message?: string) => [{ type, status, message }];
  for (const [status, text, deletionTimestamp] of [
    [{ phase: 'Running', conditions: condition('Ready', 'True') }, undefined],
    [{ phase: 'Succeeded' }, undefined],
    [{ phase: 'Running' }, undefined, '2026-01-01T00:00:00Z'],
    [{ containerStatuses: [waiting('CrashLoopBackOff')] }, 'container backend: CrashLoopBackOff'],
    [{ phase: 'Pending', conditions: condition('PodScheduled', 'False', '0/3 nodes') }, '0/3 nodes'],
    [{ phase: 'Running', conditions: condition('Ready', 'False') }, 'it is not ready'],
    [undefined, 'it is Pending'],
  ] as [Pod['status'], string | undefined, string?][]) {
    const metadata = { namespace: 'n', name: 'p', ...(deletionTimestamp && { deletionTimestamp }) };
    const found = unreadyOf([{ metadata, ...(status && { status }) }]);
    assert.equal(found, text === undefined ? [] : [{ object: 'pod n/p', text }]);
  }
});

test('the progress names a pod that is waited for, and why', async () => {
  const pod = (name: string, ready: boolean): Pod => ({
    metadata: { namespace: 'n', name },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  });
  const found: Finding[] = [];
  const findings = () => found;
  const told = async (...pods: Pod[]) => {
    const texts: string[] = [];
    const context = { progress: (text: string) => texts.push(text), signal: new AbortController().signal };
    const work = Promise.resolve('done');
    assert.is(await tellWaiting(context, 'installing app1', work, { pods: () => pods, findings }), 'done');
    return texts[0];
  };
  assert.is(await told(pod('a', true)), 'installing app1');
  const waiting = 'waiting for pod n/b (it is not ready) and 1 more, installing app1';
  assert.is(await told(pod('a', true), pod('b', false), pod('c', false)), waiting);
  const [object, text] = ['replicaset n/b', 'FailedCreate: pods "b-1" is forbidden: exceeded quota'];
  found.push({ object, text: 'FailedCreate: status unknown for quota' }, { object, text });
  assert.is(await told(pod('a', true)), `waiting for ${object} (${text}), installing app1`);
});

const environment = environmentIn('/project');

const printing = (stdout: string, stderr = '') => ({
  $: answeringShell(() => ({ stdout, stderr })),
  environment,
});

test('an answer that is not a list is an error, and so is a failure of the API server', async () => {
  const unreadable = '`kubectl get nodes -o json` gave no readable answer';
  const failed = '`kubectl get nodes -o json` failed';
  for (const [answer, what, why] of [
    ['{"items":{}}', unreadable, /no `items`/],
    ['[]', unreadable, /no `items`/],
    ['{"kind":"Status","code":500,"message":"etcd is slow"}', failed, /etcd/],
    ['{"kind":"Status","code":500}', failed, /answered with 500/],
  ] as const)
    await fails(kubectlList(printing(answer), 'get', 'nodes'), { what, why });
});

test('JSON is read from stdout alone; an object alone is a list of one, and a version has no items', async () => {
  assert.equal(await kubectlList(printing('{"items":[{}]}', 'W0101 a warning'), 'get', 'nodes'), [{}]);
  const object = { kind: 'Secret', metadata: { name: 'a' } };
  assert.equal(await kubectlList(printing(JSON.stringify(object)), 'get', 'secret', 'a'), [object]);
  const version = { gitVersion: 'v1.31.0', minor: '31' };
  assert.equal(await serverVersion(printing(JSON.stringify({ serverVersion: version }))), version);
});

test.run();
