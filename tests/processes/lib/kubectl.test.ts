import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/kubernetes/kubectl.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('kubectl');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('kubernetes/kubectl.ts');
  state.environment = await state.clone.environment('minikube');
  state.context = await state.clone.context('minikube');
  mkdirSync(state.environment.state, { recursive: true });
});

test.before.each(({ clone }) => clone.forget());
test.after(({ clone }) => clone.remove());

test('every call names kubeconfig and context', ({ lib, environment }) => {
  assert.equal(lib.kubectl(environment), [
    'kubectl',
    '--kubeconfig',
    environment.kubeconfig,
    '--context',
    environment.context,
  ]);
  assert.is(
    lib.kubectlText({ ...environment, context: 'a b' }),
    "kubectl --kubeconfig .state/development/kubeconfig --context 'a b'",
  );
  assert.is(
    lib.helmText(environment),
    `helm --kubeconfig .state/development/kubeconfig --kube-context ${environment.context}`,
  );
});

test('JSON is read from stdout alone: warnings do not break it', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  clone.script('kubectl', `echo "W0101 a warning" >&2; echo '{"items":[]}'`);
  assert.equal(await lib.kubectlList({ $: context.$, environment }, 'get', 'nodes'), { items: [] });
});

test('an answer that is not a list is an error, and so is a failure of the API server', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  for (const [answer, what, why] of [
    ['{}', '`kubectl get nodes -o json` gave no readable answer', /no `items`/],
    ['{"items":{}}', '`kubectl get nodes -o json` gave no readable answer', /no `items`/],
    ['[]', '`kubectl get nodes -o json` gave no readable answer', /no `items`/],
    ['{"kind":"Status","code":500,"message":"etcd is slow"}', '`kubectl get nodes -o json` failed', /etcd/],
    ['{"kind":"Status","code":500}', '`kubectl get nodes -o json` failed', /answered with 500/],
  ] as const) {
    clone.script('kubectl', `echo '${answer}'`);
    const error = await failureOf(lib.kubectlList({ $: context.$, environment }, 'get', 'nodes'));
    assert.is(error.what, what);
    assert.match(error.why ?? '', why);
  }
  clone.script('kubectl', `echo '{"kind":"Status","code":500}'`);
  assert.match((await failureOf(lib.kubectlJson({ $: context.$, environment }, 'version'))).what, 'failed');
});

test.run();
