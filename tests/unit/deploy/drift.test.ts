import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isDrift, readDrift, tellDrift } from '../../../lib/helm/drift.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import type { DeployedRelease } from '../../../lib/helm/releases.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { environmentIn } from '../../rig/environment.ts';
import { failureOf } from '../../rig/task-context.ts';

const manifest = `---
apiVersion: v1
kind: Namespace
metadata:
  labels:
    name: wrong
  name: backend
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "front"
  namespace: frontend
---
apiVersion: v1
kind: Secret
metadata:
  name: password
`;

const devops = { name: 'devops', namespace: 'core', status: 'deployed', manifest } as DeployedRelease;

/** The objects of that manifest in the cluster. */
const objects = {
  namespace: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } },
  deployment: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'front', namespace: 'frontend' },
  },
  secret: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'password', namespace: 'core' } },
};
const { namespace, deployment, secret } = objects;

/** What helm adds to each object. */
const helm = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'devops', 'meta.helm.sh/release-namespace': 'core' },
};
const by = (manager: string, fieldsV1: object) => ({ managedFields: [{ manager, fieldsV1 }] });

type Answer = ReturnType<Parameters<typeof answeringShell>[0]>;

/** kubectl's answer to the question for all labelled objects; to others it has none. */
const cluster = (answer: (command: string) => Answer) => ({
  $: answeringShell((command) =>
    command.includes('-l app.kubernetes.io/managed-by=Helm') ? answer(command) : {},
  ),
  environment: environmentIn('/project'),
});
const list = (...items: readonly object[]): Answer => ({ stdout: JSON.stringify({ items }) });

const driftOf = async (context: ReturnType<typeof cluster>) =>
  (await readDrift(context, [devops], assert.unreachable)).get('devops');

test('a release with all its objects has no drift', async () => {
  const drift = await driftOf(cluster(() => list(namespace, deployment, secret)));
  assert.not.ok(isDrift(drift));
});

test('deleted objects are missing', async () => {
  for (const [rest, missing] of [
    [[deployment, secret], 'namespace backend'],
    [[namespace, secret], 'deployment frontend/front'],
    [[namespace, deployment], 'secret core/password'],
  ] as const) {
    const drift = await driftOf(cluster(() => list(...rest)));
    assert.equal(drift?.missing, [missing]);
    assert.ok(isDrift(drift));
  }
});

test('objects of a kind that the cluster does not know are missing', async () => {
  const unknown = { exitCode: 1, stderr: 'error: the server doesn\'t have a resource type "Deployment"' };
  const drift = await driftOf(
    cluster((command) => (command.includes('Deployment') ? unknown : list(namespace, secret))),
  );
  assert.equal(drift?.missing, ['deployment frontend/front']);
});

const forbidden = 'Error from server (Forbidden): secrets is forbidden: User "me" cannot list';

test('objects that may not be listed are not missing; the others are compared', async () => {
  const changed = {
    ...namespace,
    metadata: {
      name: 'backend',
      ...helm,
      labels: { name: 'other', ...helm.labels },
      ...by('somebody', { 'f:metadata': { 'f:labels': { 'f:name': {} } } }),
    },
  };
  const reasons: string[] = [];
  const context = cluster(() => ({ ...list(changed), exitCode: 1, stderr: forbidden }));
  const drift = (await readDrift(context, [devops], (reason) => reasons.push(reason))).get('devops');
  assert.equal(drift?.missing, []);
  assert.equal(drift?.changed, ['namespace backend .metadata.labels.name: other (somebody) → wrong']);
  assert.equal(reasons, [forbidden]);
});

test('a kubectl that fails says nothing about a release', async () => {
  for (const [answer, what] of [
    [{ exitCode: 3 }, '`kubectl get` failed with exit code 3'],
    [{ exitCode: 137, signal: 'SIGKILL' }, '`kubectl get` was ended by SIGKILL'],
    [
      { exitCode: 1, stderr: 'Unable to connect to the server: timeout' },
      '`kubectl get` failed with exit code 1',
    ],
  ] as const)
    assert.is((await failureOf(driftOf(cluster(() => answer)))).what, what);
});

/** The lines that are told of a release in this state. */
async function told(answer: Answer, status = 'deployed'): Promise<readonly string[]> {
  const lines: string[] = [];
  const declared = [{ name: 'devops', namespace: 'core' } as Release];
  const context = { ...cluster(() => answer), secret: () => {} };
  await tellDrift(context, declared, [{ ...devops, status }], (line) => lines.push(line));
  return lines;
}

test('added fields are told without values, and a pause as a fault', async () => {
  const paused = {
    ...deployment,
    metadata: {
      ...deployment.metadata,
      ...helm,
      ...by('kubectl-rollout', { 'f:spec': { 'f:paused': {}, 'f:minReadySeconds': {} } }),
    },
    spec: { paused: true, minReadySeconds: 9 },
    status: { readyReplicas: 1 },
  };
  const patched = {
    ...secret,
    metadata: { ...secret.metadata, ...helm, ...by('kubectl-patch', { 'f:data': { 'f:more': {} } }) },
    data: { more: 'aGlkZGVu' },
  };
  const kept = 'an install keeps it: remove it by hand';
  assert.equal(await told(list(namespace, paused, patched)), [
    'devops: deployment frontend/front is paused: `kubectl -n frontend rollout resume deployment front` resumes it',
    `devops: deployment frontend/front .spec was added by kubectl-rollout; ${kept}`,
    `devops: secret core/password .data.more was added by kubectl-patch; ${kept}`,
  ]);
});

test('objects that may not be listed are reported with the reason', async () => {
  assert.equal(await told({ exitCode: 1, stderr: forbidden }), [
    `cannot check for manual changes: ${forbidden}`,
  ]);
});

test('a failed release is compared with its last manifest, a pending or uninstalled one with nothing', async () => {
  const faulty = { ...deployment, status: { readyReplicas: 0 } };
  const answer = list(namespace, faulty, secret);
  assert.equal(await told(answer, 'failed'), ['devops: deployment frontend/front has 0 of 1 pods ready']);
  for (const status of ['pending-upgrade', 'uninstalling', 'uninstalled'])
    assert.equal(await told(answer, status), [], status);
});

test.run();
