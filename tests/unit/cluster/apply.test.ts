import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Api } from '../../../lib/cluster/embedded/api.ts';
import { applyManifests } from '../../../lib/cluster/embedded/apply.ts';

type Call = {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly type: unknown;
};

/** An API that gives these statuses one after another, then 200. */
function scripted(...statuses: readonly number[]): { api: Api; calls: Call[] } {
  const left = [...statuses];
  const calls: Call[] = [];
  const api: Api = {
    call: async (method, path, body, options) => {
      calls.push({ method, path, body, type: options?.contentType });
      return { status: left.shift() ?? 200, body: { message: 'because' } };
    },
    watch: () => Promise.reject(new Error('not expected')),
  };
  return { api, calls };
}

const query = '?fieldManager=kubectl&force=true&fieldValidation=Strict';

test('each document is sent unchanged to its path', async () => {
  const { api, calls } = scripted();
  const account = 'kind: ServiceAccount\nmetadata:\n  name: reviewer\n  namespace: kube-system\n';
  await applyManifests(api, `# first\n---\n${account}---\nkind: Node\nmetadata:\n  name: one\n`);
  assert.equal(
    calls.map(({ path }) => path),
    [`/api/v1/namespaces/kube-system/serviceaccounts/reviewer${query}`, `/api/v1/nodes/one${query}`],
  );
  assert.is(calls[0]?.method, 'PATCH');
  assert.is(calls[0]?.type, 'application/apply-patch+yaml');
  assert.is(String(calls[0]?.body).trim(), account.trim());
});

test('the name of a binding is its own, not that of the role or the subject', async () => {
  const { api, calls } = scripted();
  await applyManifests(api, await readFile('lib/cluster/embedded/system.yaml', 'utf8'));
  const paths = calls.map(({ path }) => path);
  assert.ok(
    paths.includes(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/vault-token-reviewer${query}`),
  );
  assert.is(paths.length, 3);
});

test('waits for a namespace that does not exist yet', async () => {
  const { api, calls } = scripted(404);
  await applyManifests(api, 'kind: Node\nmetadata:\n  name: one\n');
  assert.is(calls.length, 2);
});

test('a refusal names the object and the reason', async () => {
  const { api } = scripted(422);
  try {
    await applyManifests(api, 'kind: Node\nmetadata:\n  name: one\n');
    assert.unreachable();
  } catch (error) {
    assert.is((error as { what: string }).what, 'the API server refuses Node `one`');
    assert.is((error as { why: string }).why, 'because');
  }
});

test('an unknown kind is a bug', async () => {
  const { api } = scripted();
  let message = '';
  await applyManifests(api, 'kind: Pod\nmetadata:\n  name: one\n').catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, 'cannot apply Pod `one`');
});

test.run();
