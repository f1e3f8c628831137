import * as assert from 'uvu/assert';
import type { KubernetesObject } from '../../charts/render.ts';
import { openVault } from '../../integration/sandbox.ts';
import { areReady, endWithoutLoss, isReady, podsOf, runPod, startCaller } from '../pods.ts';
import { type Stack, until } from '../stack.ts';

export const query = async (stack: Stack, statement: string, app = 'app2'): Promise<string> =>
  runPod(stack, {
    name: 'query',
    namespace: 'backend',
    // A client that the database accepts.
    labels: {
      'app.kubernetes.io/name': 'backend',
      'app.kubernetes.io/instance': `${app}-back`,
      'app.kubernetes.io/component': 'verification',
    },
    program: 'query.mjs',
    secret: `${app}-back-database`,
    env: { STATEMENT: statement, AUTHORITY: await stack.authority() },
  });

/** Deletes a pod of a StatefulSet and waits for the next of its name to be ready, or at least to run. */
async function replaced(
  stack: Stack,
  namespace: string,
  selector: string,
  isBack: (pod: KubernetesObject) => boolean = isReady,
): Promise<KubernetesObject> {
  const [before] = await podsOf(stack, namespace, selector);
  assert.ok(before, `a pod ${selector}`);
  await stack.kubectl(['delete', 'pod', '-n', namespace, before.metadata.name, '--wait=false']);
  return until(`another pod ${selector}`, 180, async () =>
    (await podsOf(stack, namespace, selector)).find((pod) => {
      const { name, uid } = pod.metadata;
      return name === before.metadata.name && uid !== before.metadata.uid && isBack(pod);
    }),
  );
}

export async function databaseSurvivesItsPod(stack: Stack): Promise<void> {
  const word = `row-${Date.now()}`;
  await query(stack, `create table if not exists e2e (word text); insert into e2e values ('${word}')`);
  await replaced(stack, 'database', 'app.kubernetes.io/instance=postgresql');
  const rows = JSON.parse(await query(stack, `select word from e2e where word = '${word}'`));
  assert.equal(rows, [{ word }]);
  await query(stack, 'drop table e2e');
}

export async function vaultSurvivesItsPod(stack: Stack): Promise<void> {
  // Sealed is not ready.
  const runs = ({ status }: KubernetesObject) => status.phase === 'Running';
  await replaced(stack, 'vault', 'app.kubernetes.io/instance=vault', runs);
  const status = async () => JSON.parse((await stack.task('status', '--json')).stdout).vault;
  const sealed = await until('a sealed Vault', 60, async () => {
    const found = await status();
    return found?.sealed && found;
  });
  assert.is(sealed.initialized, true, 'its data is there');
  const opened = await stack.succeeds('init-vault');
  assert.match(opened.stderr, 'unsealed');
  assert.not.match(opened.stderr, /initialised; its keys/);
  assert.equal(await status(), openVault);
  // The operator logs in again, and the check still works.
  await stack.succeeds('test-app', 'app1');
}

export async function aDrainLosesNoCall(stack: Stack): Promise<void> {
  const items = await stack.list('pods', '-A');
  const single = items.filter(
    ({ metadata: { namespace, labels } }) =>
      /^(database|vault)$/.test(namespace ?? '') || labels?.['k8s-app'] === 'kube-dns',
  );
  const pods = items.filter(({ metadata }) => /^(back|front)end$/.test(metadata.namespace ?? ''));
  const nodes = [...new Set(pods.map(({ spec }): string => spec.nodeName))];
  const counted = (node: string, among: readonly KubernetesObject[]) =>
    among.filter(({ spec }) => spec.nodeName === node).length;
  // Single pods are down while they move, so drain the node with the fewest of them.
  const [node] = nodes.sort(
    (one, other) =>
      counted(one, single) - counted(other, single) || counted(other, pods) - counted(one, pods),
  );
  assert.ok(node && nodes.length > 1, 'pods of the applications are on several nodes');
  const caller = await startCaller(stack, ['app1-front', 'app2-front']);
  try {
    await stack.drain(node, 300);
    const left = await podsOf(stack, 'backend', 'app.kubernetes.io/component=server');
    assert.is(counted(node, left), 0);
    for (const namespace of ['backend', 'frontend'])
      await areReady(stack, namespace, 'app.kubernetes.io/component=server');
  } finally {
    await stack.kubectl(['uncordon', node]);
  }
  await endWithoutLoss(caller);
  await stack.task('init-vault');
}

export async function loadScalesApp2(stack: Stack): Promise<void> {
  const scaler = () => stack.get('horizontalpodautoscaler', '-n', 'backend', 'app2-back');
  const { minReplicas } = (await scaler()).spec;
  await until('a measurement', 120, async () => (await scaler()).status.currentMetrics?.[0]);
  // During a drain or restart of metrics-server, its API is unavailable for a moment.
  await until('kubectl top', 120, async () => {
    const top = await stack.tryKubectl(['top', 'pods', '-n', 'backend']);
    return /app2-back-\S+ +\d+m +\d+Mi/.test(top.stdout);
  });
  const caller = await startCaller(stack, ['app2-front'], { name: 'load', width: 24, pauseMs: 0 });
  try {
    await until(`more than ${minReplicas} pods`, 240, async () => {
      const pods = await podsOf(stack, 'backend', 'app.kubernetes.io/instance=app2-back');
      return pods.filter(isReady).length > minReplicas;
    });
  } finally {
    await caller.end();
  }
}
