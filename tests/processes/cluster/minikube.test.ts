import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/environment.ts';
import type { Settings } from '../../../lib/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/minikube.ts');
  environment: Environment;
  settings: Settings;
  context: RecordedContext;
  /** Lets minikube know of profiles; `list` is the text of `profile list -o json`. */
  profiles: (list: string, body?: string) => void;
};

const test = suite<State>('minikube');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('cluster/minikube.ts');
  state.environment = await state.clone.environment('minikube');
  const { loadSettings } = await state.clone.lib<typeof import('../../../lib/settings.ts')>('settings.ts');
  state.settings = await loadSettings('development', 'minikube');
  state.profiles = (list, body = '') =>
    state.clone.script(
      'minikube',
      `case "$*" in "profile list -o json") cat <<'END'\n${list}\nEND\n;; esac\n${body}`,
    );
  state.clone.script('kubectl', '');
});

test.before.each((state) => {
  state.context = state.clone.context('minikube');
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

const named = (environment: Environment, status: string, list = 'valid'): string =>
  JSON.stringify({ invalid: [], valid: [], [list]: [{ Name: environment.clusterName, Status: status }] });

/** As a create leaves it that came to its end. */
function complete(environment: Environment): void {
  mkdirSync(environment.state, { recursive: true });
  writeFileSync(join(environment.state, 'minikube.complete'), '');
}

const none = '{"invalid":[],"valid":[]}';

test('start is told everything that the settings say', ({ lib, environment, settings }) => {
  assert.is(
    lib.startArguments(environment, settings).join(' '),
    `start --profile ${environment.clusterName} --driver docker --nodes 3 --cpus 2 --memory 3072mb ` +
      '--kubernetes-version v1.31.0 --cni calico --wait all --interactive=false',
  );
  const cluster = { ...settings.cluster, driver: 'podman', nodes: 1, memoryMB: 4096, cni: 'cilium' };
  const words = lib.startArguments(environment, { ...settings, cluster });
  for (const word of ['podman', '1', '4096mb', 'cilium']) assert.ok(words.includes(word), word);
});

test('the phase is what minikube says of the very profile', async ({
  lib,
  environment,
  context,
  profiles,
}) => {
  const phase = (list: string) => {
    profiles(list);
    return lib.minikube.phase(environment, context);
  };
  assert.is(await phase(none), 'absent');
  complete(environment);
  assert.is(await phase(named(environment, 'Running')), 'running');
  assert.is(await phase(named(environment, 'OK')), 'running');
  assert.is(await phase(named(environment, 'Stopped')), 'stopped');
  assert.is(await phase(named(environment, 'Starting')), 'creating');
  assert.is(await phase(named(environment, 'Degraded')), 'degraded');
  assert.is(await phase(named(environment, '', 'invalid')), 'creating');
  const longer = { valid: [{ Name: `${environment.clusterName}-2`, Status: 'Running' }] };
  assert.is(await phase(JSON.stringify(longer)), 'absent');
});

test('a minikube without any profile says so in words, which counts as absent', async ({
  lib,
  environment,
  context,
  clone,
}) => {
  clone.script('minikube', 'echo "X No minikube profile was found." >&2; exit 1');
  assert.is(await lib.minikube.phase(environment, context), 'absent');
});

test('create starts, enables the addons in their order and moves the default storage class', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  profiles,
}) => {
  profiles(none);
  assert.is(await lib.minikube.create(environment, settings, context), 'changed');
  const profile = environment.clusterName;
  const kubectl = `kubectl --kubeconfig ${environment.kubeconfig} --context ${profile} annotate storageclass`;
  const annotation = 'storageclass.kubernetes.io/is-default-class';
  assert.equal(clone.calls(), [
    'minikube profile list -o json',
    `minikube ${lib.startArguments(environment, settings).join(' ')}`,
    `minikube addons enable volumesnapshots --profile ${profile}`,
    `minikube addons enable csi-hostpath-driver --profile ${profile}`,
    `${kubectl} standard ${annotation}=false --overwrite`,
    `${kubectl} csi-hostpath-sc ${annotation}=true --overwrite`,
  ]);
  assert.ok(existsSync(join(environment.state, 'environment.json')));
});

test('what create does is what its dry run prints', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  profiles,
}) => {
  profiles(none);
  await lib.minikube.create(environment, settings, context);
  const [, ...done] = clone.calls();
  const printed = lib.minikube.commands
    .create(environment, settings)
    .map((line) => line.replace(/^KUBECONFIG=\S+ /, ''));
  assert.equal(
    done.map((line) => line.replace(environment.kubeconfig, '.state/development/kubeconfig')),
    printed,
  );
});

test('minikube writes to the environment’s kubeconfig, never to the user’s', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  profiles,
}) => {
  profiles(none, 'echo "$KUBECONFIG" >> "$CALLS"');
  await lib.minikube.create(environment, settings, context);
  const files = clone.calls().filter((line) => line.startsWith('/'));
  assert.equal([...new Set(files)], [environment.kubeconfig]);
});

test('a running cluster is left alone', async ({ lib, environment, settings, context, clone, profiles }) => {
  complete(environment);
  profiles(named(environment, 'Running'));
  assert.is(await lib.minikube.create(environment, settings, context), 'unchanged');
  assert.is(await lib.minikube.start(environment, settings, context), 'unchanged');
  assert.is(clone.calls().length, 2);
});

test('a run that was killed before the addons is gone on with', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  profiles,
}) => {
  profiles(named(environment, 'Running'));
  assert.is(await lib.minikube.phase(environment, context), 'creating');
  assert.is(await lib.minikube.create(environment, settings, context), 'changed');
  assert.ok(clone.calls().some((line) => line.includes('addons enable csi-hostpath-driver')));
  assert.is(await lib.minikube.phase(environment, context), 'running');
});

test('only the controller nginx is an addon', async ({ lib, environment, settings }) => {
  const enables = (controller: 'traefik' | 'nginx' | 'none') =>
    lib.minikube.commands
      .create(environment, { ...settings, ingress: { ...settings.ingress, controller } })
      .some((line) => line.includes('addons enable ingress '));
  assert.equal([enables('traefik'), enables('nginx'), enables('none')], [false, true, false]);
});

test('with the cluster’s own storage class nothing is annotated', async ({ lib, environment, settings }) => {
  const cluster = { ...settings.cluster, storageClass: '' };
  const lines = lib.minikube.commands.create(environment, { ...settings, cluster });
  assert.not.ok(lines.some((line) => line.includes('storageclass')));
});

test('a start that fails fails with minikube’s own exit code, and destroy knows the environment', async ({
  lib,
  environment,
  settings,
  context,
  profiles,
}) => {
  profiles(none, 'case "$1" in start) echo "X no space" >&2; exit 80;; esac');
  const error = await failureOf(lib.minikube.create(environment, settings, context));
  assert.is(error.exitCode, 80);
  assert.ok(existsSync(join(environment.state, 'environment.json')));
});

test('a stopped cluster starts with the same words; one that is not there is an error', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  profiles,
}) => {
  profiles(named(environment, 'Stopped'));
  assert.is(await lib.minikube.start(environment, settings, context), 'changed');
  assert.is(clone.calls()[1], `minikube ${lib.startArguments(environment, settings).join(' ')}`);
  profiles(none);
  const error = await failureOf(lib.minikube.start(environment, settings, context));
  assert.is(error.what, 'the cluster of environment `development` is not created');
});

test('stop and destroy name the profile, and do nothing where there is nothing', async ({
  lib,
  environment,
  context,
  clone,
  profiles,
}) => {
  profiles(none);
  assert.is(await lib.minikube.stop(environment, context), 'unchanged');
  assert.is(await lib.minikube.destroy(environment, context), 'unchanged');
  profiles(named(environment, 'Stopped'));
  assert.is(await lib.minikube.stop(environment, context), 'unchanged');
  clone.forget();
  profiles(named(environment, 'Running'));
  assert.is(await lib.minikube.stop(environment, context), 'changed');
  mkdirSync(environment.state, { recursive: true });
  writeFileSync(environment.kubeconfig, '');
  assert.is(await lib.minikube.destroy(environment, context), 'changed');
  const changes = clone.calls().filter((line) => !line.includes('profile list'));
  assert.equal(changes, [
    `minikube stop --profile ${environment.clusterName}`,
    `minikube delete --profile ${environment.clusterName}`,
  ]);
  assert.not.ok(existsSync(environment.kubeconfig));
});

test.run();
