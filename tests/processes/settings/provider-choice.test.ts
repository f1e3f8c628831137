import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { environmentOf, remember } from '../../../lib/settings/environment.ts';
import { resolveOptions } from '../../../lib/settings/provider-choice.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const project = scriptedFolder('environments');
const { folder } = project;

const resolve = (options: Options = {}, user = 1000, task = 'create-k8s'): Promise<Options> =>
  resolveOptions({ env: 'development', ...options }, [{ name: task }], folder, user);

/** Records that the environment was made with this provider. */
const made = (provider: string, context = '') =>
  remember({ ...environmentOf({ env: 'development', provider }, folder), context });

test.before.each(() => {
  project.reset();
  project.script('docker', 'exit 1');
  project.script('minikube', '');
});
test.after(project.remove);

test('without a Docker engine it is the embedded cluster', async () => {
  assert.is((await resolve()).provider, 'embedded');
  // The client answers alone: no version of a server.
  project.script('docker', 'echo; exit 0');
  assert.is((await resolve()).provider, 'embedded');
});

test('with a Docker engine and minikube it is minikube', async () => {
  project.script('docker', 'echo 27.3.0');
  assert.is((await resolve()).provider, 'minikube');
  assert.equal(project.calls().at(-1), 'docker version --format {{.Server.Version}}');
});

test('an environment can be limited to one provider', async () => {
  project.script('docker', 'echo 27.3.0');
  const settings = join(folder, 'environments/development/settings.yaml');
  writeFileSync(settings, 'cluster: { provider: existing, context: team-cluster }\n');
  const chosen = await resolve();
  assert.equal([chosen.provider, chosen.context], ['existing', 'team-cluster']);
  const error = await failureOf(resolve({ provider: 'embedded' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` is for provider `existing`, not `embedded`');
});

test('production is never created on a local cluster', async () => {
  const options = { env: 'production', context: 'team-cluster' };
  assert.is((await resolve(options)).provider, 'existing');
  for (const provider of ['embedded', 'minikube'])
    assert.is((await failureOf(resolve({ ...options, provider }))).exitCode, 2);
  assert.match((await failureOf(resolve({ env: 'production' }))).what, /needs a kube context/);
});

test('root gets the embedded cluster, since minikube would refuse', async () => {
  project.script('docker', 'echo 27.3.0');
  assert.is((await resolve({}, 0)).provider, 'embedded');
  assert.is((await resolve({ provider: 'minikube' }, 0)).provider, 'minikube');
});

test('an explicit choice wins without calling Docker', async () => {
  project.forget();
  assert.is((await resolve({ provider: 'minikube' })).provider, 'minikube');
  assert.equal(project.calls(), []);
});

test('an environment keeps its provider', async () => {
  project.script('docker', 'echo 27.3.0');
  await made('embedded');
  assert.is((await resolve()).provider, 'embedded');
  assert.is((await resolve({ provider: 'embedded' })).provider, 'embedded');
  const error = await failureOf(resolve({ provider: 'minikube' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` was made with provider `embedded`, not `minikube`');
  assert.match(error.advice ?? '', /destroy-environment/);
});

test('an unknown environment is reported before any tool is called', async () => {
  project.forget();
  const error = await failureOf(resolve({ env: 'nowhere' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown environment `nowhere`');
  assert.equal(project.calls(), []);
});

test('an environment without its folder can be shown, stopped and destroyed', async () => {
  await made('minikube');
  rmSync(join(folder, 'environments/development'), { recursive: true });
  for (const task of ['destroy-environment', 'destroy-k8s', 'stop-k8s', 'status'])
    assert.is((await resolve({}, 1000, task)).provider, 'minikube', task);
  const error = await failureOf(resolve({}, 1000, 'install-all'));
  assert.is(error.exitCode, 2);
  assert.match(error.advice ?? '', /`npx .* destroy-environment --env development`/);
});

test('an existing cluster needs a context: by option, setting or record', async () => {
  const missing = await failureOf(resolve({ provider: 'existing' }));
  assert.is(missing.exitCode, 2);
  assert.match(missing.advice ?? '', /--context, CLUSTER_CONTEXT or the setting cluster\.context/);
  assert.is((await resolve({ provider: 'existing', context: 'team' })).context, 'team');
  writeFileSync(
    join(folder, 'environments/development/context.yaml'),
    'cluster: { context: from-settings }\n',
  );
  assert.is((await resolve({ provider: 'existing' })).context, 'from-settings');
  await made('existing', 'as-made');
  assert.is((await resolve()).context, 'as-made');
});

test('the context of an environment cannot be changed afterwards', async () => {
  await made('existing', 'team-a');
  const error = await failureOf(resolve({ context: 'team-b' }));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` was made in context `team-a`, not `team-b`');
});

test('the other providers ignore a context', async () => {
  assert.is((await resolve({ provider: 'embedded', context: 'team' })).context, undefined);
});

test('the user’s choice replaces a damaged record', async () => {
  await made('minikube');
  writeFileSync(join(folder, '.state/development/environment.json'), '{');
  assert.match((await failureOf(resolve())).what, /is damaged/);
  assert.is((await resolve({ provider: 'embedded' })).provider, 'embedded');
});

test.run();
