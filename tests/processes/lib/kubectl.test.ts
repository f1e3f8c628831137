import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/kubectl.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('kubectl');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('kubectl.ts');
  state.environment = await state.clone.environment('minikube');
  state.context = state.clone.context('minikube');
  mkdirSync(state.environment.state, { recursive: true });
});

test.before.each(({ clone }) => clone.forget());
test.after(({ clone }) => clone.remove());

const vault = { namespace: 'vault', resource: 'svc/vault', port: 8200 };

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
  assert.equal(await lib.kubectlJson(context.$, environment, 'get', 'nodes'), { items: [] });
});

test('a forwarded port is used as soon as kubectl names it, and kubectl is gone afterwards', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  clone.script(
    'kubectl',
    'echo "$$" >> "$CALLS"; echo "Forwarding from 127.0.0.1:40123 -> 8200"; echo "Forwarding from [::1]:40123 -> 8200"; exec sleep 1000',
  );
  const used = await lib.withPortForward(context, environment, vault, async (connection) => connection);
  assert.equal(used, { host: '127.0.0.1', port: 40123 });
  const [call, pid] = clone.calls();
  assert.match(call ?? '', /-n vault port-forward svc\/vault :8200 --address 127\.0\.0\.1$/);
  assert.throws(() => process.kill(Number(pid), 0), /ESRCH/);
});

test('kubectl is ended also when its use fails', async ({ lib, clone, environment, context }) => {
  clone.script(
    'kubectl',
    'echo "$$" >> "$CALLS"; echo "Forwarding from 127.0.0.1:40123 -> 8200"; exec sleep 1000',
  );
  const failing = lib.withPortForward(context, environment, vault, async () => {
    throw new Error('sealed');
  });
  assert.is((await failureOf(failing)).message, 'sealed');
  assert.throws(() => process.kill(Number(clone.calls()[1]), 0), /ESRCH/);
});

test('a Service without a pod is told with kubectl’s last line', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  clone.script('kubectl', 'echo "first" >&2; echo "error: no running pods" >&2; exit 1');
  const error = await failureOf(lib.withPortForward(context, environment, vault, async () => undefined));
  assert.is(error.what, 'svc/vault of the namespace vault cannot be reached');
  assert.is(error.why, 'error: no running pods');
});

test.run();
