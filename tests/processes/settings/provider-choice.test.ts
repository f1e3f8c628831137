import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  resolve: (options?: Options, user?: number, names?: readonly string[]) => Promise<Options>;
  /** Lets the environment have been made with this provider. */
  made: (provider: Environment['provider'], context?: string) => Promise<void>;
};

const test = suite<State>('provider-choice');

test.before(async (state) => {
  state.clone = scriptedClone();
  type Choice = typeof import('../../../lib/settings/provider-choice.ts');
  const { resolveOptions } = await state.clone.lib<Choice>('settings/provider-choice.ts');
  type Lib = typeof import('../../../lib/settings/environment.ts');
  const { remember } = await state.clone.lib<Lib>('settings/environment.ts');
  state.resolve = (options = {}, user = 1000, names = ['create-k8s']) =>
    resolveOptions(
      { env: 'development', ...options },
      names.map((name) => ({ name })),
      user,
    );
  state.made = async (provider, context = '') =>
    remember({ ...(await state.clone.environment(provider)), context });
});

test.before.each(({ clone }) => {
  clone.script('docker', 'exit 1');
  clone.script('minikube', '');
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('without a Docker engine it is the embedded cluster', async ({ clone, resolve }) => {
  assert.is((await resolve()).provider, 'embedded');
  // The client answers alone: no version of a server.
  clone.script('docker', 'echo; exit 0');
  assert.is((await resolve()).provider, 'embedded');
});

test('with a Docker engine and minikube it is minikube', async ({ clone, resolve }) => {
  clone.script('docker', 'echo 27.3.0');
  assert.is((await resolve()).provider, 'minikube');
  assert.equal(clone.calls().at(-1), 'docker version --format {{.Server.Version}}');
});

test('an environment can be limited to one provider', async ({ clone, resolve }) => {
  clone.script('docker', 'echo 27.3.0');
  const settings = join(clone.folder, 'environments/development/settings.yaml');
  writeFileSync(settings, 'cluster: { provider: existing, context: team-cluster }\n');
  const chosen = await resolve();
  assert.equal([chosen.provider, chosen.context], ['existing', 'team-cluster']);
  const error = await failureOf(resolve({ provider: 'embedded' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` is for provider `existing`, not `embedded`');
});

test('production is never created on a local cluster', async ({ resolve }) => {
  const options = { env: 'production', context: 'team-cluster' };
  assert.is((await resolve(options)).provider, 'existing');
  for (const provider of ['embedded', 'minikube'])
    assert.is((await failureOf(resolve({ ...options, provider }))).exitCode, 2);
  assert.match((await failureOf(resolve({ env: 'production' }))).what, /needs a kube context/);
});

test('root gets the embedded cluster, since minikube would refuse', async ({ clone, resolve }) => {
  clone.script('docker', 'echo 27.3.0');
  assert.is((await resolve({}, 0)).provider, 'embedded');
  assert.is((await resolve({ provider: 'minikube' }, 0)).provider, 'minikube');
});

test('an explicit choice wins without calling Docker', async ({ clone, resolve }) => {
  clone.forget();
  assert.is((await resolve({ provider: 'minikube' })).provider, 'minikube');
  assert.equal(clone.calls(), []);
});

test('an environment keeps its provider', async ({ clone, resolve, made }) => {
  clone.script('docker', 'echo 27.3.0');
  await made('embedded');
  assert.is((await resolve()).provider, 'embedded');
  assert.is((await resolve({ provider: 'embedded' })).provider, 'embedded');
  const error = await failureOf(resolve({ provider: 'minikube' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` was made with provider `embedded`, not `minikube`');
  assert.match(error.advice ?? '', /destroy-environment/);
});

test('an unknown environment is reported before any tool is called', async ({ clone, resolve }) => {
  clone.forget();
  const error = await failureOf(resolve({ env: 'nowhere' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown environment `nowhere`');
  assert.equal(clone.calls(), []);
});

test('an environment without its folder can be shown, stopped and destroyed', async ({
  clone,
  resolve,
  made,
}) => {
  await made('minikube');
  rmSync(join(clone.folder, 'environments/development'), { recursive: true });
  for (const task of ['destroy-environment', 'destroy-k8s', 'stop-k8s', 'status'])
    assert.is((await resolve({}, 1000, [task])).provider, 'minikube', task);
  const error = await failureOf(resolve({}, 1000, ['install-all']));
  assert.is(error.exitCode, 2);
  assert.match(error.advice ?? '', /`npx .* destroy-environment --env development`/);
});

test('an existing cluster needs a context: by option, setting or record', async ({
  clone,
  resolve,
  made,
}) => {
  const missing = await failureOf(resolve({ provider: 'existing' }));
  assert.is(missing.exitCode, 2);
  assert.match(missing.advice ?? '', /--context, CLUSTER_CONTEXT or the setting cluster\.context/);
  assert.is((await resolve({ provider: 'existing', context: 'team' })).context, 'team');
  writeFileSync(
    join(clone.folder, 'environments/development/context.yaml'),
    'cluster: { context: from-settings }\n',
  );
  assert.is((await resolve({ provider: 'existing' })).context, 'from-settings');
  await made('existing', 'as-made');
  assert.is((await resolve()).context, 'as-made');
});

test('the context of an environment cannot be changed afterwards', async ({ resolve, made }) => {
  await made('existing', 'team-a');
  const error = await failureOf(resolve({ context: 'team-b' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` was made in context `team-a`, not `team-b`');
});

test('the other providers ignore a context', async ({ resolve }) => {
  assert.is((await resolve({ provider: 'embedded', context: 'team' })).context, undefined);
});

test('the user’s choice replaces a damaged record', async ({ clone, resolve, made }) => {
  await made('minikube');
  writeFileSync(join(clone.folder, '.state/development/environment.json'), '{');
  assert.match((await failureOf(resolve())).what, /is damaged/);
  assert.is((await resolve({ provider: 'embedded' })).provider, 'embedded');
});

test.run();
