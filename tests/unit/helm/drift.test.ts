import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { isDrift, tellDrift } from '../../../lib/helm/drift.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { manifestObjects } from '../../../lib/helm/live-objects.ts';
import { withoutDropped } from '../../../lib/helm/managed-fields.ts';
import type { DeployedRelease } from '../../../lib/helm/releases.ts';
import { answeringShell, environmentIn, fails } from '../../rig/task-context.ts';

const manifest = `---
# Source: a.yaml
apiVersion: v1
kind: Namespace
metadata:
  labels: { name: wrong }
  name: backend
---
apiVersion: "apps/v1"
kind: 'Deployment'
metadata:
  name: "front"
  namespace: frontend
---
# nothing
---
apiVersion: v1
kind: Secret
metadata: { name: password }
---
apiVersion: v1
kind: Broken
metadata: {name: [
`;

const devops = { name: 'devops', namespace: 'core', status: 'deployed', manifest } as DeployedRelease;

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } };
const front = { name: 'front', namespace: 'frontend' };
const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: front };
const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'password', namespace: 'core' } };

/** What helm adds to each object. */
const helm = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'devops', 'meta.helm.sh/release-namespace': 'core' },
};
const by = (manager: string, fieldsV1: object) => ({ managedFields: [{ manager, fieldsV1 }] });

/** An object that helm applied, with these changes. */
const applied = (object: { readonly metadata: object }, changes: object = {}, metadata: object = {}) => ({
  ...{ ...object, ...changes, metadata: { ...object.metadata, ...helm, ...metadata } },
});

type Answer = ReturnType<Parameters<typeof answeringShell>[0]>;

const list = (...items: readonly object[]): Answer => ({ stdout: JSON.stringify({ items }) });

/**
 * The lines that are told of the release in this state, and its drift. `answer` is kubectl's to the question for all
 * labelled objects; to others it has none.
 */
async function told(answer: Answer | ((command: string) => Answer), changes: Partial<DeployedRelease> = {}) {
  const lines: string[] = [];
  const $ = answeringShell((command) => {
    if (!command.includes('-l app.kubernetes.io/managed-by=Helm')) return {};
    return typeof answer === 'function' ? answer(command) : answer;
  });
  const context = { $, environment: environmentIn('/project'), secret: () => {} };
  const declared = [{ id: 'core/devops' } as Release];
  const deployed = new Map([['core/devops', { ...devops, ...changes }]]);
  const drifts = await tellDrift(context, declared, deployed, (line) => lines.push(line));
  return { lines, drift: drifts.get('devops') };
}

const unknown = { exitCode: 1, stderr: 'error: the server doesn\'t have a resource type "Deployment"' };
const unknownDeployment = (command: string) =>
  command.includes('Deployment') ? unknown : list(namespace, secret);

test('deleted objects, and those of a kind that the cluster does not know, are missing', async () => {
  for (const [answer, missing] of [
    [list(deployment, secret), 'namespace backend'],
    [list(namespace, secret), 'deployment frontend/front'],
    [list(namespace, deployment), 'secret core/password'],
    [unknownDeployment, 'deployment frontend/front'],
  ] as const) {
    const { lines, drift } = await told(answer);
    assert.ok(lines.includes(`devops was changed: ${missing} is missing`));
    assert.equal(drift?.changed, [`${missing} is missing`]);
    assert.ok(isDrift(drift));
  }
});

const forbidden = 'Error from server (Forbidden): secrets is forbidden: User "me" cannot list';

test('objects that may not be listed are not missing; the others are compared', async () => {
  const metadata = {
    ...{ name: 'backend', labels: { name: 'other' } },
    annotations: { 'meta.helm.sh/release-namespace': 'core' },
    ...by('somebody', { 'f:metadata': { 'f:labels': { 'f:name': {} }, 'f:annotations': { 'f:own': {} } } }),
  };
  const changed = list({ ...namespace, metadata });
  const { lines } = await told({ ...changed, exitCode: 1, stderr: forbidden });
  assert.equal(lines, [
    `cannot check for manual changes: ${forbidden}`,
    ...[
      '.metadata.labels.name: other (somebody), was wrong',
      '.metadata.labels[app.kubernetes.io/managed-by]: removed, was Helm',
      '.metadata.annotations[meta.helm.sh/release-name]: removed, was devops',
    ].map((field) => `devops was changed: namespace backend ${field}`),
  ]);
});

test('a kubectl that fails says nothing about a release', async () => {
  for (const answer of [{ exitCode: 3 }, { exitCode: 1, stderr: 'Unable to connect: timeout' }])
    await fails(told(answer), { what: `\`kubectl get\` failed with exit code ${answer.exitCode}` });
});

test('added fields are reported without values, and a pause as a fault', async () => {
  const paused = applied(
    deployment,
    { spec: { paused: true, minReadySeconds: 9 }, status: { readyReplicas: 1 } },
    by('kubectl-rollout', { 'f:spec': { 'f:paused': {}, 'f:minReadySeconds': {} } }),
  );
  const more = by('kubectl-patch', { 'f:data': { 'f:more': {} } });
  const patched = applied(secret, { data: { more: 'aGlkZGVu' } }, more);
  const kept = 'an install keeps it: remove it by hand';
  assert.equal((await told(list(namespace, paused, patched))).lines, [
    'devops: deployment frontend/front is paused: `kubectl -n frontend rollout resume deployment front` resumes it',
    `devops: deployment frontend/front .spec was added by kubectl-rollout; ${kept}`,
    `devops: secret core/password .data.more was added by kubectl-patch; ${kept}`,
  ]);
});

test('an empty text that an operator dropped is no difference; one that helm has not applied yet is', async () => {
  const { drift } = await told(list(namespace, deployment, secret));
  const spec = { namespace: '', method: 'kubernetes', nested: { empty: '' } };
  const object = applied(deployment, { spec }) as never;
  assert.equal(drift?.asKept(object), object);
  const pair = { object: { spec }, live: { spec: { method: 'kubernetes', nested: {} } } };
  assert.equal(withoutDropped({ spec }, pair), { spec: { method: 'kubernetes', nested: {} } });
  assert.equal(withoutDropped({ spec }, { ...pair, live: { spec } }), { spec });
});

test('an object that is no longer rendered would be removed, unless it is kept or gone', async () => {
  const leftOut = async (rendered: readonly object[], own = manifest) => {
    const { drift } = await told(list(namespace, deployment), { manifest: own });
    return drift?.leftOutOf(rendered as never).map(({ kind }) => kind);
  };
  assert.equal(await leftOut([]), ['Namespace', 'Deployment']);
  const elsewhere = { ...namespace, metadata: { name: 'backend', namespace: 'core' } };
  assert.equal(await leftOut([elsewhere]), ['Deployment']);
  const keep = 'name: backend\n  annotations: {helm.sh/resource-policy: keep}';
  assert.equal(await leftOut([], manifest.replace('name: backend', keep)), ['Deployment']);
});

test('where an autoscaler takes over, the number of pods stays', async () => {
  const scaled = manifest.replace('  namespace: frontend\n', '  namespace: frontend\nspec:\n  replicas: 2\n');
  const live = { ...deployment, spec: { replicas: 2 } };
  const { drift } = await told(list(namespace, live, secret), { manifest: scaled });
  assert.equal(drift?.asKept(applied(deployment) as never).spec, { replicas: 2 });
});

test('a release is compared with its last manifest, also a failed one; a pending or uninstalled one with nothing', async () => {
  const all = (command: string) => {
    assert.match(command, ' get Namespace,Deployment.apps,Secret,Broken -A ');
    return list(namespace, deployment, secret);
  };
  const unready = ['devops: deployment frontend/front has 0 of 1 pods ready'];
  for (const status of ['deployed', 'failed', 'pending-upgrade', 'uninstalling', 'uninstalled']) {
    const { lines, drift } = await told(all, { status });
    assert.equal(lines, /ed$/.test(status) && status !== 'uninstalled' ? unready : [], status);
    assert.not.ok(isDrift(drift));
  }
});

test('pods of an older revision are reported for a StatefulSet whose pods helm does not replace, and are no drift', async () => {
  const metadata = { name: 'vault', namespace: 'core' };
  const vault = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata };
  const set = (type: string, updatedReplicas: number, readyReplicas = 3) =>
    applied(vault, {
      spec: { replicas: 3, updateStrategy: { type } },
      status: { replicas: 3, updatedReplicas, readyReplicas },
    });
  for (const [live, lines, unfinished] of [
    [set('OnDelete', 1), ['has 2 of 3 pods of an older revision: an install replaces them one by one'], true],
    // A replaced one is sealed.
    [set('OnDelete', 3, 2), ['has 2 of 3 pods ready'], true],
    [set('OnDelete', 3), [], false],
    [set('RollingUpdate', 1), [], false],
  ] as const) {
    const found = await told(list(live), { manifest: stringify(vault) });
    assert.equal(
      found.lines,
      lines.map((line) => `devops: statefulset core/vault ${line}`),
    );
    assert.equal([found.drift?.unfinished, isDrift(found.drift)], [unfinished, false]);
  }
});

test('a manifest is read as helm reads it, so that a comparison with the cluster shows no difference', async () => {
  const manifest = `
apiVersion: v1
kind: ConfigMap
metadata: { name: values }
data: { mode: 0440, answer: yes, large: 1_000, time: 12:30:45, short: 8:30, date: 2026-11-29 }
`;
  const [object] = await manifestObjects(manifest, { name: 'app', namespace: 'here' });
  assert.equal((object as { readonly data?: unknown }).data, {
    ...{ mode: 288, answer: true, large: 1000 },
    ...{ time: '12:30:45', short: '8:30', date: '2026-11-29' },
  });
});

test.run();
