import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { applyNodes, compareNodes } from '../../../lib/cluster/embedded/apply.ts';
import { restoreKubeconfig } from '../../../lib/cluster/embedded/kubernetes.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { context, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const { test } = scriptedSuite('embedded-nodes', 'embedded', 'environments');

/** The context with another number of nodes in the settings. */
const asking = (nodes: number) => {
  const { settings } = context;
  return { ...context, settings: { ...settings, cluster: { ...settings.cluster, nodes } } };
};

/** An API server that takes nodes. */
function server() {
  const there = new Set<string>();
  const { api } = scriptedApi((method, path) => {
    const name = /^\/api\/v1\/nodes\/([^?]+)/.exec(path)?.[1];
    if (method === 'PATCH' && name !== undefined) there.add(name);
    return {};
  });
  return { api, there };
}

test('a new cluster gets the number of nodes in the settings', async () => {
  const { api, there } = server();
  await applyNodes(asking(3), api, 'creating');
  assert.equal([...there], ['development-1', 'development-2', 'development-3']);
  // A half created cluster is recreated with what the settings ask for then.
  const again = server();
  await applyNodes(asking(2), again.api, 'creating');
  assert.is(again.there.size, 2);
});

test('an existing cluster keeps its nodes despite other settings, gets deleted ones back, and reports that', async () => {
  await applyNodes(asking(3), server().api, 'creating');
  await compareNodes(asking(3));
  assert.equal(context.logged, []);
  for (const asked of [2, 5]) {
    const { api, there } = server();
    await applyNodes(asking(asked), api, 'created');
    assert.is(there.size, 3);
  }
  await compareNodes(asking(2));
  assert.match(context.logged.join(), /^cluster\.nodes is 2, but the cluster keeps 3 until /);
});

test('a deleted kubeconfig is restored, for the user alone', async () => {
  const { environment } = context;
  const folder = join(environment.state, 'kwok/clusters', environment.clusterName);
  await fails(restoreKubeconfig(context), { what: /kubeconfig is missing and could not be restored/ });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'kubeconfig.yaml'), 'own\n');
  assert.is(await restoreKubeconfig(context), true);
  assert.is(readFileSync(environment.kubeconfig, 'utf8'), 'own\n');
  assert.is(statSync(environment.kubeconfig).mode & 0o777, 0o600);
  // An existing one is not changed.
  rmSync(folder, { recursive: true });
  assert.is(await restoreKubeconfig(context), false);
});

test.run();
