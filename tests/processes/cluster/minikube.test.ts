import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { buildBackendVerification } from '../../../tasks/images.ts';
import { failureOf } from '../../rig/task-context.ts';
import {
  changes,
  clone,
  clusterName,
  context,
  docker,
  environment,
  minikubeSuite,
  nodes,
  progress,
  progressFile,
  running,
  settings,
  status,
  stopped,
  untilStart,
} from './scripted-minikube.ts';

const test = minikubeSuite('minikube');

test('the phase is that of all nodes', async () => {
  const phase = (text: string, exitCode?: number) => {
    status(text, exitCode);
    return provider.phase(context);
  };
  assert.is(await phase('* Profile "x" not found.', 85), 'absent');
  assert.is(await phase(running), 'creating');
  progress('started');
  assert.is(await phase(running), 'creating');
  progress('complete');
  assert.is(await phase(running), 'running');
  assert.is(
    await phase('{"Name":"one","Host":"Running","Kubelet":"Running","APIServer":"Running"}'),
    'running',
  );
  assert.is(await phase(stopped, 7), 'stopped');
  assert.is(await phase(nodes({}, {}, { Host: 'Stopped' }), 3), 'degraded');
  assert.equal(await provider.faults?.(context), ['node node-3: Stopped']);
  assert.is(await phase(nodes({}, { Kubelet: 'Stopped' }), 2), 'degraded');
  assert.equal(await provider.faults?.(context), ['kubelet of node-2: Stopped']);
  assert.is(await phase(nodes({ APIServer: 'Paused' }, {}), 2), 'degraded');
  assert.is(await phase('X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38), 'degraded');
});

test('a minikube or a Docker that fails is an error, not the absence of a cluster', async () => {
  progress('complete');
  status('cannot find home', 1);
  const error = await failureOf(provider.phase(context));
  assert.equal([error.what, error.why], ['`minikube status` failed', 'cannot find home']);
  for (const [text, exitCode, reason] of [
    ['{"error":"cannot read the profiles"}', 14, 'its output is not readable (exit code 14)'],
    ['null', 14, 'null'],
    ['[]', 80, 'exit code 80'],
    ['', 0, 'its output is not readable (exit code 0)'],
    ['<html>\n<body>not here</body>\n</html>', 0, 'its output is not readable (exit code 0)'],
    ['{"Name":"one","Host":"Run', 0, 'its output is not readable (exit code 0)'],
    ['{"Name":"one","Host":"Run', 2, 'its output is not readable (exit code 2)'],
    [running, 137, 'ended by SIGKILL'],
  ] as const) {
    status(text, exitCode);
    const failure = await failureOf(provider.phase(context));
    assert.equal([failure.what, failure.why], ['`minikube status` failed', reason], text);
    assert.is(failure.exitCode, exitCode === 137 ? 137 : 1);
  }
  clone.script('minikube', 'kill -9 $$');
  for (const attempt of ['destroy', 'stop'] as const) {
    const killed = await failureOf(provider[attempt](context));
    assert.equal([killed.what, killed.why], ['`minikube status` failed', 'ended by SIGKILL'], attempt);
  }
  assert.equal(changes(), []);
  status('null', 7, 'echo "no such file" >&2; exit 1');
  const listing = await failureOf(provider.phase(context));
  assert.equal([listing.what, listing.why], ['`minikube node list` failed', 'no such file']);
  // minikube answers like this when Docker is down, and also when a container is missing.
  status('null', 7);
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  for (const attempt of ['phase', 'destroy', 'stop'] as const) {
    const { what } = await failureOf(provider[attempt](context));
    assert.is(what, 'Docker does not answer', attempt);
  }
  assert.ok(existsSync(progressFile));
});

test('a profile that the environment has no record of is not touched', async () => {
  status(running);
  const error = await failureOf(provider.create(context));
  assert.match(error.advice ?? '', /^`npx .* destroy-environment` removes the cluster/);
  assert.equal(changes(), []);
});

test('a profile that cannot be read is named, and only destroyed on request', async () => {
  progress('complete');
  status('X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38);
  for (const attempt of [provider.create, provider.start]) {
    const error = await failureOf(attempt(context));
    assert.match(error.why ?? '', /unexpected end of JSON input/);
    assert.match(error.advice ?? '', /destroy-environment/);
  }
  assert.equal(changes(), []);
  assert.is(await provider.destroy(context), 'changed');
});

test('missing resources of Docker are named before anything is written', async () => {
  status('', 85);
  const failure = (info: object) => {
    docker({}, info);
    return failureOf(provider.create(context));
  };
  const memory = await failure({ MemTotal: 8 * 2 ** 30 });
  assert.is(memory.what, 'Docker has 8192 MB of memory, the cluster needs 9216 MB');
  assert.match(memory.advice ?? '', /cluster\.memoryMB or cluster\.nodes in environments\/development/);
  const cpus = await failure({ NCPU: 1 });
  assert.is(cpus.what, 'Docker has 1 CPUs, a node of the cluster needs 2');
  assert.is((await failure({ NCPU: 0, ServerErrors: ['no daemon'] })).what, 'Docker does not answer');
  assert.equal(changes(), []);
  assert.not.ok(existsSync(join(environment.state, 'environment.json')));
});

test('an old Docker engine is reported, not refused', async () => {
  clone.script('minikube', untilStart);
  docker({}, { ServerVersion: '20.10.24' });
  await provider.create(context);
  assert.match(context.logged.join(), /Docker engine 20\.10\.24 is older than 24/);
});

test('root and an unavailable Docker are refused only for the docker driver', async () => {
  const check = async (user: number, driver: string): Promise<void> =>
    provider.check?.({ ...settings, cluster: { ...settings.cluster, driver } }, user);
  clone.script('docker', 'echo 27.3.0');
  assert.match((await failureOf(check(0, 'docker'))).what, /cannot be run as root/);
  await check(1000, 'docker');
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  assert.is((await failureOf(check(1000, 'docker'))).what, 'Docker does not answer');
  const build = async (): Promise<void> =>
    buildBackendVerification.check?.(
      { args: { tag: '1.2.0' }, passThrough: [], options: { env: 'development', provider: 'embedded' } },
      [],
    );
  assert.is((await failureOf(build())).what, 'Docker does not answer');
  await check(0, 'kvm2');
});

test('stop and destroy name the profile, remove minikube’s leftovers, and do nothing without a cluster', async () => {
  const { kubeconfig } = environment;
  status('', 85);
  assert.is(await provider.stop(context), 'unchanged');
  assert.is(await provider.destroy(context), 'unchanged');
  assert.equal(changes(), []);
  progress('complete');
  status(running);
  docker({ network: [clusterName, `${clusterName}x`] });
  const machines = join(process.env.MINIKUBE_HOME ?? '', 'machines');
  for (const name of [`${clusterName}-m02`, `${clusterName}x`])
    mkdirSync(join(machines, name), { recursive: true });
  assert.is(await provider.stop(context), 'changed');
  writeFileSync(kubeconfig, '');
  assert.is(await provider.destroy(context), 'changed');
  assert.equal(changes(), [
    `minikube stop --profile ${clusterName}`,
    `minikube delete --profile ${clusterName}`,
    `docker network rm ${clusterName}`,
  ]);
  assert.not.ok(existsSync(kubeconfig));
  assert.equal(readdirSync(machines), [`${clusterName}x`]);
  assert.throws(() => readFileSync(progressFile));
});

test('damaged settings do not keep destroy from its work', async () => {
  writeFileSync(join(clone.folder, 'environments/development/zz.yaml'), 'cluster: { driver: [');
  progress('complete');
  status('null', 7);
  docker({ network: [clusterName] });
  assert.is(await provider.destroy(context), 'changed');
  assert.equal(changes(), [`minikube delete --profile ${clusterName}`, `docker network rm ${clusterName}`]);
  assert.match(context.logged.join('\n'), /the settings cannot be read, so docker is taken .*zz\.yaml/);
});

test.run();
