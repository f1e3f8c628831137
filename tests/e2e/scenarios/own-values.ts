import * as assert from 'uvu/assert';
import { create, isReady, mark, podsOf, startCaller } from '../pods.ts';
import { type Stack, until } from '../stack.ts';

const settings = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'own-values', namespace: 'backend', labels: mark },
};

/** What any pod may have. */
const pods = {
  imagePullSecrets: [{ name: 'no-such-secret' }],
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'pool', operator: 'Exists' }],
  podLabels: { team: 'shop' },
  podAnnotations: { note: 'copied' },
  serviceAccount: { annotations: { note: 'copied' } },
};
const resources = { requests: { 'ephemeral-storage': '16Mi' }, limits: { 'ephemeral-storage': '64Mi' } };

const back = {
  ...pods,
  resources,
  env: [
    { name: 'MODE', value: 'fast' },
    { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
  ],
  envFrom: [{ configMapRef: { name: 'own-values' } }],
  extraVolumes: [
    { name: 'work', emptyDir: { sizeLimit: '8Mi' } },
    { name: 'settings', configMap: { name: 'own-values' } },
  ],
  extraVolumeMounts: [
    { name: 'work', mountPath: '/work' },
    { name: 'settings', mountPath: '/etc/own', readOnly: true },
  ],
  containerPorts: { http: 9000 },
  startupProbe: { exec: { command: ['node', '-e', ''] }, timeoutSeconds: 10 },
  readinessProbe: { httpGet: { path: '/' } },
  livenessProbe: { tcpSocket: { port: 'http' } },
  autoscaling: { targetMemoryUtilizationPercentage: 400 },
};
const front = { ...pods, resources, containerPorts: { http: 8090 }, env: [{ name: 'MODE', value: 'fast' }] };

/** What a container of the backend sees; the file shows that its volume can be written. */
const look = `
  const { readFileSync, writeFileSync } = require('node:fs');
  writeFileSync('/work/file', 'written');
  const { MODE, NODE_NAME, COLOUR, DB_USER, WHOAMI_PORT_NUMBER } = process.env;
  const files = [readFileSync('/work/file', 'utf8'), readFileSync('/etc/own/COLOUR', 'utf8')];
  console.log(JSON.stringify({ MODE, NODE_NAME, COLOUR, DB_USER, WHOAMI_PORT_NUMBER, files }));`;

/**
 * app2 runs with most of the values that a copied chart has, and logs requests with an id; afterwards it is as before.
 */
export async function ownValuesReachThePods(stack: Stack): Promise<void> {
  // the database Secret wins over this user
  await create(stack, [{ ...settings, data: { COLOUR: 'green', DB_USER: 'nobody' } }]);
  try {
    const releases = { 'app2-back': back, 'app2-front': front };
    const ended = await stack.taskWith({ releases }, 'install-app', 'app2');
    assert.is(ended.exitCode, 0, ended.stderr);
    await stack.succeeds('test-app', 'app2');
    const servers = await podsOf(stack, 'backend', 'app.kubernetes.io/instance=app2-back,team=shop');
    const pod = servers.find(isReady);
    assert.ok(pod);
    const { metadata, spec } = pod;
    const seen = JSON.parse(
      await stack.kubectl(['exec', '-n', 'backend', metadata.name, '--', 'node', '-e', look]),
    );
    assert.equal(seen, {
      MODE: 'fast',
      NODE_NAME: spec.nodeName,
      COLOUR: 'green',
      DB_USER: 'app2',
      WHOAMI_PORT_NUMBER: '9000',
      files: ['written', 'green'],
    });
    const caller = await startCaller(stack, ['app2-front']);
    assert.is((await caller.end()).failed, 0);
    await requestsHaveAnId(stack);
  } finally {
    await stack.succeeds('install-app', 'app2');
    await stack.kubectl(['delete', 'configmap', '-n', 'backend', 'own-values']);
  }
  const left = await podsOf(stack, 'backend', 'team=shop');
  assert.equal(left.filter(isReady), []);
}

/** The front's log is one JSON object per request, each with its id. */
async function requestsHaveAnId(stack: Stack): Promise<void> {
  const labels = ['-l', 'app.kubernetes.io/instance=app2-front'];
  const requests = await until('requests in the log of the front', 30, async () => {
    const text = await stack.kubectl(['logs', '-n', 'frontend', ...labels, '--tail', '20']);
    const lines = text.split('\n').filter((line) => line.startsWith('{'));
    return lines.length > 10 && lines.map((line) => JSON.parse(line) as { request_id: string; path: string });
  });
  for (const { path, request_id } of requests) {
    assert.is(path, '/api');
    assert.match(request_id, /^[0-9a-f]{32}$/);
  }
}
