import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { buildBackendVerification, buildToolset } from '../../../tasks/images.ts';
import { context, withSettings } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import * as minikube from './scripted-minikube.ts';

const { changes, clusterName, docker, environment, nodes, progress } = minikube;
const { progressFile, project, running, status, stopped, test, untilStart } = minikube;

test('the phase is that of all nodes', async () => {
  const isPhase = async (phase: string, text: string, exitCode?: number, fault?: string) => {
    status(text, exitCode);
    assert.is((await provider.state(context)).phase, phase, text);
    if (fault) assert.equal((await provider.state(context)).faults, [fault]);
  };
  await isPhase('absent', '* Profile "x" not found.', 85);
  await isPhase('creating', running);
  progress('started');
  await isPhase('creating', running);
  progress('complete');
  await isPhase('running', running);
  await isPhase('running', nodes({}).slice(1, -1));
  await isPhase('stopped', stopped, 7);
  await isPhase('degraded', nodes({}, {}, { Host: 'Stopped' }), 3, 'node node-3: Stopped');
  await isPhase('degraded', nodes({}, { Kubelet: 'Stopped' }), 2, 'kubelet of node-2: Stopped');
  const noServer = nodes({ Kubelet: 'Stopped', APIServer: 'Stopped' });
  await isPhase('degraded', noServer, 6, 'API server of node-1: Stopped');
  // As after Docker has given the API server another port.
  await isPhase('degraded', nodes({ Kubeconfig: 'Misconfigured' }), 4, 'kubeconfig of node-1: Misconfigured');
  await isPhase('degraded', 'X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38);
});

test('a minikube or a Docker that fails is an error, not the absence of a cluster', async () => {
  progress('complete');
  const failed = { what: '`minikube status` failed' };
  for (const [text, exitCode, why] of [
    ['cannot find home', 1, 'cannot find home'],
    ['{"error":"cannot read the profiles"}', 14, 'its output is not readable (exit code 14)'],
    ['null', 14, 'null'],
    ['[]', 80, 'exit code 80'],
    ['', 0, 'its output is not readable (exit code 0)'],
    ['<html>\n<body>not here</body>\n</html>', 0, 'its output is not readable (exit code 0)'],
    ['{"Name":"one","Host":"Run', 2, 'its output is not readable (exit code 2)'],
    [running, 137, 'ended by SIGKILL'],
  ] as const) {
    status(text, exitCode);
    await fails(provider.state(context), { ...failed, why, exitCode: exitCode === 137 ? 137 : 1 });
  }
  project.script('minikube', 'kill -9 $$');
  for (const attempt of ['destroy', 'stop'] as const)
    await fails(provider[attempt](context), { ...failed, why: 'ended by SIGKILL' });
  assert.equal(changes(), []);
  status('null', 7, 'echo "no such file" >&2; exit 1');
  await fails(provider.state(context), { what: '`minikube node list` failed', why: 'no such file' });
  // minikube answers like this when Docker is down, and also when a container is missing.
  status('null', 7);
  project.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  for (const attempt of ['state', 'destroy', 'stop'] as const)
    await fails(provider[attempt](context), { what: 'Docker does not answer' });
  assert.ok(existsSync(progressFile));
});

test('a profile without a record, or one that cannot be read, is only destroyed on request', async () => {
  status(running);
  await fails(provider.create(context), { advice: /^`npx .* destroy-environment` removes the cluster/ });
  progress('complete');
  status('X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38);
  for (const attempt of [provider.create, provider.start])
    await fails(attempt(context), { why: /unexpected end of JSON input/, advice: /destroy-environment/ });
  assert.equal(changes(), []);
  assert.is(await provider.destroy(context), 'changed');
});

test('missing resources of Docker are named before anything is written; an old one is only reported', async () => {
  status('', 85);
  const refused = (info: object, what: string, advice = /./) => {
    docker({}, info);
    return fails(provider.create(context), { what, advice });
  };
  await refused(
    { MemTotal: 8 * 2 ** 30 },
    'Docker has 8192 MB of memory, the cluster needs 9216 MB',
    /cluster\.memoryMB or cluster\.nodes in environments\/development/,
  );
  await refused({ NCPU: 1 }, 'Docker has 1 CPUs, a node of the cluster needs 2');
  await refused({ NCPU: 0, ServerErrors: ['no daemon'] }, 'Docker does not answer');
  assert.equal(changes(), []);
  assert.not.ok(existsSync(join(environment.state, 'environment.json')));
  untilStart();
  docker({}, { ServerVersion: '20.10.24' });
  await provider.create(context);
  assert.match(context.logged.join(), /Docker engine 20\.10\.24 is older than 24/);
});

test('root and an unavailable Docker are refused only for the docker driver', async () => {
  const check = async (user: number, driver: string): Promise<void> =>
    provider.check?.(withSettings({ cluster: { driver } }).settings, user);
  const denied = 'permission denied while trying to connect to the Docker daemon socket';
  project.script('docker', `echo "${denied}" >&2; exit 1`);
  await fails(check(1000, 'docker'), { why: denied, advice: /^let your user use Docker/ });
  project.script('docker', 'echo "ssh: Permission denied (publickey)" >&2; exit 1');
  await fails(check(1000, 'docker'), { advice: /^start Docker/ });
  project.script('docker', 'echo 27.3.0');
  await fails(check(0, 'docker'), { what: /cannot be run as root/ });
  await check(1000, 'docker');
  project.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  const down = { what: 'Docker does not answer', why: 'Cannot connect to the Docker daemon' };
  await fails(check(1000, 'docker'), down);
  await check(0, 'kvm2');
  for (const build of [buildBackendVerification, buildToolset]) {
    const checked = async (tag: string): Promise<void> =>
      build.check?.({ args: { tag }, passThrough: [], options: context.options }, []);
    await fails(checked('1.2.0'), down);
    await fails(checked('a/b'), { what: '`a/b` is not a valid image tag' });
  }
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
  assert.not.ok(existsSync(progressFile));
});

test('damaged settings do not keep destroy from its work', async () => {
  writeFileSync(join(project.folder, 'environments/development/zz.yaml'), 'cluster: { driver: [');
  progress('complete');
  status('null', 7);
  docker({ network: [clusterName] });
  assert.is(await provider.destroy(context), 'changed');
  assert.equal(changes(), [`minikube delete --profile ${clusterName}`, `docker network rm ${clusterName}`]);
  assert.match(context.logged.join('\n'), /the settings cannot be read, so docker is taken .*zz\.yaml/);
});

test.run();
