import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyManifests } from '../../../lib/cluster/embedded/apply.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const node = 'kind: Node\nmetadata:\n  name: one\n';

test('each document is sent unchanged to its path', async () => {
  const { api, calls } = scriptedApi();
  const account = 'kind: ServiceAccount\nmetadata:\n  name: reviewer\n  namespace: kube-system\n';
  await applyManifests(api, `# first\n---\n${account}---\n${node}`);
  const query = '?fieldManager=kubectl&force=true&fieldValidation=Strict';
  assert.equal(
    calls.map(({ path }) => path),
    [`/api/v1/namespaces/kube-system/serviceaccounts/reviewer${query}`, `/api/v1/nodes/one${query}`],
  );
  assert.equal([calls[0]?.method, calls[0]?.type], ['PATCH', 'application/apply-patch+yaml']);
  assert.is(String(calls[0]?.body).trim(), account.trim());
});

test('waits for a namespace that does not exist yet', async () => {
  const left = [404];
  const { api, calls } = scriptedApi(() => ({ status: left.shift() ?? 200 }));
  await applyManifests(api, node);
  assert.is(calls.length, 2);
});

test('a refusal names the object and the reason, and an unknown kind is a bug', async () => {
  const { api } = scriptedApi(() => ({ status: 422, body: { message: 'because' } }));
  await fails(applyManifests(api, node), { what: 'the API server refuses Node `one`', why: 'because' });
  const { message } = await failureOf(applyManifests(api, node.replace('Node', 'Pod')));
  assert.is(message, 'cannot apply Pod `one`');
});

test.run();
