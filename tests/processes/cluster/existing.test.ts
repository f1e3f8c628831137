import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { loadSettings, type Settings } from '../../../lib/settings/settings.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('existing');

const clone = scriptedFolder('environments', 'helmfile.yaml');
const { environment } = await clone.context('existing');
let context: CloneContext;

test.before.each(async () => {
  context = await clone.context('existing');
  clone.forget();
});
test.after.each(() => clone.reset());
test.after(() => clone.remove());

const answers = {
  view: `echo '{"clusters":[{"cluster":{"server":"https://one"}}]}'`,
  ready: 'echo ok',
  version: `echo '{"serverVersion":{"gitVersion":"v1.31.4-eks","minor":"31+"}}'`,
  storage: `echo '{"items":[{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}]}'`,
  may: 'echo yes',
  type: 'echo there',
};

/** A kubectl that answers in this way. */
const kubectl = (changes: Partial<typeof answers> = {}): void => {
  const { view, ready, version, storage, may, type } = { ...answers, ...changes };
  clone.script(
    'kubectl',
    `case "$*" in
      *"config view"*) ${view};;
      *get-contexts*) printf 'team-a\\nteam-b\\n';;
      *readyz*) ${ready};;
      *"get storageclass"*) ${storage};;
      *can-i*) ${may};;
      *customresourcedefinition*) ${type};;
      *version*) ${version};;
    esac`,
  );
};

test('operators that the settings need must be installed: missing ones are named with the setting', async () => {
  const settings = await loadSettings({ name: 'production', provider: 'existing' });
  const create = (change: Partial<Settings> = {}) =>
    provider.create({ ...context, settings: { ...settings, ...change } });
  kubectl();
  await create();
  const asked = clone.calls().filter((line) => line.includes(' get customresourcedefinition '));
  assert.equal(
    asked.map((line) => line.split(' ').at(-4)),
    ['clusters.postgresql.cnpg.io'],
  );
  kubectl({ type: 'echo "Unable to connect to the server" >&2; exit 1' });
  const unread = await failureOf(create());
  assert.match(unread.what, /^`kubectl get customresourcedefinition .*` failed with exit code 1$/);
  kubectl({ type: 'exit 0' });
  const error = await failureOf(create());
  assert.is(
    error.what,
    'context `some-context` has no CloudNativePG, which the setting releases.postgresql.kind asks for',
  );
  const scaled = {
    postgresql: { password: '' },
    'app2-back': { autoscaling: { enabled: true, kind: 'keda' } },
  };
  const keda = await failureOf(create({ releases: scaled }));
  assert.match(keda.what, 'has no KEDA, which the setting releases.app2-back.autoscaling.kind asks for');
});

test('create checks the cluster without changing it; only the call that reads the user’s kubeconfig names no other', async () => {
  kubectl();
  assert.is(await provider.create(context), 'unchanged');
  const own = `kubectl --kubeconfig ${environment.kubeconfig} --context some-context `;
  assert.equal(
    clone.calls().map((line) => line.replace(own, '')),
    [
      'kubectl config view --minify --flatten --raw --output json --context some-context',
      'get --raw /readyz --request-timeout 15s',
      'version -o json',
      'get storageclass -o json',
      'auth can-i create namespaces --all-namespaces',
      'auth can-i create clusterroles.rbac.authorization.k8s.io --all-namespaces',
      'auth can-i create customresourcedefinitions.apiextensions.k8s.io --all-namespaces',
      'auth can-i create deployments.apps --all-namespaces',
      'auth can-i get secrets --all-namespaces',
    ],
  );
});

test('the fault of a cluster is what kubectl says', async () => {
  const noPlugin = 'Unable to connect to the server: getting credentials: exec: executable acme not found';
  kubectl({ ready: `echo "${noPlugin}" >&2; echo "It looks like you …" >&2; exit 1` });
  assert.equal(await provider.faults?.(context), [noPlugin]);
  kubectl({ ready: 'echo "the server has asked for the client to provide credentials" >&2; exit 1' });
  assert.equal(await provider.faults?.(context), [
    'the server has asked for the client to provide credentials',
  ]);
});

const canI = '`kubectl auth can-i create namespaces`';

for (const [title, changes, what, exitCode = 1] of [
  [
    'a cluster that does not answer',
    { ready: 'echo "dial tcp: connection refused" >&2; exit 1' },
    'the cluster of context `some-context` does not answer',
  ],
  [
    'a Kubernetes that is too old',
    { version: `echo '{"serverVersion":{"gitVersion":"v1.28.9","minor":"28"}}'` },
    'the cluster runs Kubernetes v1.28.9',
  ],
  [
    'a cluster without a version',
    { version: 'echo "{}"' },
    'the cluster runs Kubernetes of an unknown version',
  ],
  ['an answer without a version', { version: '' }, '`kubectl version -o json` gave no readable answer'],
  [
    'no default storage class',
    { storage: `echo '{"items":[{"metadata":{}}]}'` },
    'context `some-context` has no default StorageClass',
  ],
  [
    'a right that is missing',
    { may: 'case "$*" in *customresource*) echo no; exit 1;; *) echo yes;; esac' },
    'you may not create customresourcedefinitions in context `some-context`',
  ],
  [
    'a right that a policy denies',
    { may: 'echo "no - some policy"; exit 1' },
    'you may not create namespaces in context `some-context`',
  ],
  [
    'a question about a right that fails',
    { may: 'echo "Unable to connect" >&2; exit 1' },
    `${canI} failed with exit code 1`,
  ],
  ['a kubectl that is killed', { may: 'kill -9 $$' }, `${canI} was ended by SIGKILL`, 137],
] as const) {
  test(`${title} is reported with advice`, async () => {
    kubectl(changes);
    const error = await failureOf(provider.create(context));
    assert.equal([error.what, error.exitCode], [what, exitCode]);
    assert.ok(error.advice);
  });
}

test('a cluster never connected is absent; one no longer answering is degraded', async () => {
  kubectl();
  assert.is(await provider.phase(context), 'absent');
  await provider.create(context);
  assert.is(await provider.phase(context), 'running');
  kubectl({ ready: 'exit 1' });
  assert.is(await provider.phase(context), 'degraded');
});

test('start and stop do nothing and say so', async () => {
  kubectl();
  assert.is(await provider.start(context), 'unchanged');
  assert.is(await provider.stop(context), 'unchanged');
  assert.equal(context.logged, [
    'an existing cluster is not started by these tasks: nothing to do',
    'an existing cluster is not stopped by these tasks: nothing to do',
  ]);
  assert.equal(clone.calls(), []);
});

test.run();
