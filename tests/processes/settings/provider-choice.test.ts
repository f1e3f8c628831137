import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { environmentOf, remember } from '../../../lib/settings/environment.ts';
import { resolveOptions } from '../../../lib/settings/provider-choice.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const project = scriptedFolder('environments');
const { folder } = project;

const resolve = (options: Options = {}, user = 1000, task = 'create-k8s'): Promise<Options> =>
  resolveOptions({ env: 'development', ...options }, [{ name: task }], folder, user);

const made = (provider: string, context = '') =>
  remember({ ...environmentOf({ env: 'development', provider }, folder), context });

test.before.each(() => {
  project.reset();
  project.script('docker', 'exit 1');
  project.script('minikube', '');
});

const providerOf = async (...given: Parameters<typeof resolve>) => (await resolve(...given)).provider;
const refused = (what: string | RegExp, advice: RegExp, ...given: Parameters<typeof resolve>) =>
  fails(resolve(...given), { exitCode: 2, what, advice });

test('without a choice it is minikube if Docker answers, else the embedded cluster; for root too, as minikube refuses', async () => {
  assert.is(await providerOf(), 'embedded');
  // The client answers alone: no version of a server.
  project.script('docker', 'echo; exit 0');
  assert.is(await providerOf(), 'embedded');
  project.script('docker', 'echo 27.3.0');
  assert.is(await providerOf(), 'minikube');
  assert.equal(project.calls().at(-1), 'docker version --format {{.Server.Version}}');
  assert.is(await providerOf({}, 0), 'embedded');
});

test('an explicit choice wins without calling Docker, and is without a context', async () => {
  project.forget();
  assert.is(await providerOf({ provider: 'minikube' }, 0), 'minikube');
  assert.is((await resolve({ provider: 'embedded', context: 'team' })).context, undefined);
  await refused('unknown environment `nowhere`', /./, { env: 'nowhere' });
  assert.equal(project.calls(), []);
});

test('an environment can be limited to one provider, as production is to an existing cluster', async () => {
  project.script('docker', 'echo 27.3.0');
  const settings = join(folder, 'environments/development/settings.yaml');
  writeFileSync(settings, 'cluster: { provider: existing, context: team-cluster }\n');
  const chosen = await resolve();
  assert.equal([chosen.provider, chosen.context], ['existing', 'team-cluster']);
  const embedded = { provider: 'embedded' };
  await refused('environment `development` is for provider `existing`, not `embedded`', /./, embedded);
  const production = { env: 'production', context: 'team-cluster' };
  assert.is(await providerOf(production), 'existing');
  for (const provider of ['embedded', 'minikube'])
    await refused(/is for provider/, /./, { ...production, provider });
});

test('an environment keeps its provider, whatever an option or the setting of any layer says', async () => {
  project.script('docker', 'echo 27.3.0');
  await made('embedded');
  for (const given of [{}, { provider: 'embedded' }]) assert.is(await providerOf(given), 'embedded');
  const what = 'environment `development` was made with provider `embedded`, not `minikube`';
  await refused(what, /destroy-environment/, { provider: 'minikube' });
  const common = join(folder, 'environments/common.yaml');
  const text = readFileSync(common, 'utf8');
  writeFileSync(common, text.replace('provider: ""', 'provider: minikube'));
  const advice = /destroy-environment.*, or take the setting cluster\.provider back/;
  for (const given of [{}, { provider: 'embedded' }]) await refused(what, advice, given);
  // Where its own advice leads.
  for (const task of ['destroy-environment', 'stop-k8s', 'status'])
    assert.is(await providerOf({}, 1000, task), 'embedded', task);
});

test('an environment without its folder can be shown, stopped and destroyed', async () => {
  await made('minikube');
  rmSync(join(folder, 'environments/development'), { recursive: true });
  for (const task of ['destroy-environment', 'destroy-k8s', 'stop-k8s', 'status'])
    assert.is(await providerOf({}, 1000, task), 'minikube', task);
  await refused(/^unknown environment/, /`npx .* destroy-environment`/, {}, 1000, 'install-all');
});

test('an existing cluster needs a context, by option, setting or record, and keeps it', async () => {
  const provider = 'existing';
  const advice = /--context, CLUSTER_CONTEXT or the setting cluster\.context/;
  await refused(/needs a kube context/, advice, { provider });
  for (const task of ['render', 'make-secrets', 'edit-secrets', 'check-secrets', 'destroy-environment'])
    assert.is((await resolve({ provider }, undefined, task)).context, '');
  assert.is((await resolve({ provider, context: 'team' })).context, 'team');
  const settings = join(folder, 'environments/development/context.yaml');
  writeFileSync(settings, 'cluster: { context: from-settings }\n');
  assert.is((await resolve({ provider })).context, 'from-settings');
  await made(provider, 'as-made');
  assert.is((await resolve()).context, 'as-made');
  const what = 'environment `development` was made in context `as-made`, not `team-b`';
  await refused(what, /./, { context: 'team-b' });
});

test('the user’s choice replaces a damaged record', async () => {
  await made('minikube');
  writeFileSync(join(folder, '.state/development/environment.json'), '{');
  await fails(resolve(), { what: /is damaged/ });
  assert.is(await providerOf({ provider: 'embedded' }), 'embedded');
  // What was created somewhere is not removed without saying where.
  await refused(/needs a kube context/, /./, { provider: 'existing' }, undefined, 'destroy-environment');
});

test.run();
