import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { startArguments } from '../../../lib/cluster/minikube/start.ts';
import { context, withSettings } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import * as minikube from './scripted-minikube.ts';

const { changes, clusterName, docker, environment, nodes, progress } = minikube;
const { project, running, status, stopped, test, untilStart } = minikube;

/** Words of the changing calls, with another name for the cluster. */
const shortly = (words?: number): string[] =>
  changes().map((line) => line.replaceAll(clusterName, 'X').split(' ').slice(0, words).join(' '));

const mark = (name: string): string => join(environment.state, name);
const forNewOnes = /--(?:nodes|kubernetes-version) \S+ /g;

test('start gets all settings', () => {
  const cluster = {
    ...{ driver: 'podman', nodes: 1, memoryMB: 4096, cni: 'cilium' },
    ...{ containerRuntime: 'containerd' as const, baseImage: 'base:v1', startArguments: ['--preload=false'] },
  };
  assert.is(
    startArguments(withSettings({ cluster })).join(' '),
    `start --profile ${clusterName} --driver podman --nodes 1 --cpus 2 --memory 4096mb ` +
      '--kubernetes-version v1.31.0 --cni cilium --container-runtime containerd --base-image base:v1 ' +
      '--wait all --interactive=false --preload=false',
  );
});

test('create runs what its dry run prints, for the environment’s kubeconfig; minikube locks where others lock', async () => {
  const places = join(environment.state, 'places');
  untilStart(running, undefined, `echo "$KUBECONFIG $TMPDIR" >> ${places}`);
  process.env.TMPDIR = '/tmp';
  assert.is(await provider.create(context), 'changed');
  assert.equal(
    changes().map((line) => line.replace(environment.kubeconfig, '.state/development/kubeconfig')),
    provider.commands.create(context).map((line) => line.replace(/^KUBECONFIG=\S+ /, '')),
  );
  const [place, ...others] = new Set(readFileSync(places, 'utf8').trim().split('\n'));
  assert.equal([place, others], [`${environment.kubeconfig} /tmp`, []]);
  assert.ok(existsSync(join(environment.state, 'environment.json')));
  assert.is((await provider.state(context)).phase, 'running');
});

test('addons and the storage class are those of the settings; the controller nginx is an addon, too', () => {
  const { create, start } = provider.commands;
  const bare = withSettings({ cluster: { storageClass: '', addons: [] } });
  const created = create(bare).map((line) => line.replace(forNewOnes, ''));
  assert.equal(created, start(bare));
  const enables = (controller: 'traefik' | 'nginx' | 'none') =>
    create(withSettings({ ingress: { controller } }))
      .join()
      .includes('addons enable ingress ');
  assert.equal([enables('traefik'), enables('nginx'), enables('none')], [false, true, false]);
});

test('a running cluster is not touched; with other settings, the log says what it keeps', async () => {
  progress('complete');
  status(running);
  assert.is(await provider.create(context), 'unchanged');
  assert.is(await provider.start(context), 'unchanged');
  assert.equal(context.logged, []);
  minikube.record({ CPUs: 2, Memory: 3072 });
  const other = withSettings({
    cluster: { nodes: 5, kubernetesVersion: 'v1.32.0', cpus: 2, memoryMB: 4096 },
  });
  for (const enter of [provider.create, provider.start]) {
    assert.is(await enter(other), 'unchanged');
    const log = context.logged.splice(0).join('\n');
    assert.match(
      log,
      /memoryMB is 4096, .* keeps 3072 .*\n.* keeps 3 until .* recreate it\n.* keeps v1\.31\.0 until /,
    );
    assert.not.match(log, 'cpus');
  }
  assert.equal(changes(), []);
});

test('a paused cluster goes on before it is started, stopped or removed, as its workers would stay frozen', async () => {
  const paused = nodes({ Kubelet: 'Stopped', APIServer: 'Paused' }, { Kubelet: 'Stopped' });
  progress('complete');
  untilStart(running, `echo '${paused}'; exit 6`);
  await provider.stop(context);
  await provider.destroy(context);
  progress('complete');
  await provider.start(context);
  const called = changes().map((line) => line.split(' ')[1]);
  assert.equal(called.slice(0, 6), ['unpause', 'stop', 'unpause', 'delete', 'unpause', 'start']);
});

test('a node paused by Docker is continued by Docker: minikube would wait for it without end', async () => {
  const frozen = nodes({}, { Name: `${clusterName}-m02`, Host: 'Paused', APIServer: 'Paused' });
  progress('complete');
  untilStart(running, `echo '${frozen}'; exit 7`);
  await provider.start(context);
  assert.equal(shortly(3).slice(0, 2), ['docker unpause X-m02', 'minikube start --profile']);
});

test('a cluster whose first start was interrupted is recreated', async () => {
  progress(undefined);
  const [deleted, started] = [mark('deleted'), mark('started')];
  project.script('minikube', {
    status: `if [ -e ${started} ]; then echo '${running}'; elif [ -e ${deleted} ]; then exit 85; else echo '${nodes({})}'; fi`,
    delete: `touch ${deleted}`,
    start: `touch ${started}`,
  });
  assert.is((await provider.state(context)).phase, 'creating');
  await fails(provider.start(context), { advice: 'run `npx tsx tasks.ts create-environment` again' });
  assert.is(await provider.create(context), 'changed');
  assert.equal(shortly(2).slice(0, 2), ['minikube delete', 'minikube start']);
  assert.is((await provider.state(context)).phase, 'running');
});

test('a cluster whose addons were interrupted continues with them', async () => {
  progress('started');
  status(running);
  assert.is(await provider.create(context), 'changed');
  assert.is(changes()[0], `minikube addons enable volumesnapshots --profile ${clusterName}`);
  assert.is((await provider.state(context)).phase, 'running');
});

test('a start that ends with a node that does not run is a failure', async () => {
  untilStart(nodes({}, { Name: 'X-m02', Kubelet: 'Stopped' }, {}));
  await fails(provider.create(context), { why: 'kubelet of X-m02: Stopped' });
  assert.is((await provider.state(context)).phase, 'creating');
});

test('a control plane whose disk is gone is recreated by create, and start says so', async () => {
  progress('complete');
  docker({ container: [`${clusterName}-m02`], volume: [`${clusterName}-m02`], network: [clusterName] });
  const list = `printf '%s\\t-\\n' ${clusterName} ${clusterName}-m02`;
  untilStart(running, 'echo null; exit 7', `[ "$1 $2" != 'node list' ] || ${list}`);
  await fails(provider.start(context), {
    why: `the machine of ${clusterName} is gone`,
    advice: 'its data is lost: `npx tsx tasks.ts create-environment` recreates the cluster',
  });
  assert.is(await provider.create(context), 'changed');
  assert.match(context.logged.join(), /recreated without its data/);
  assert.equal(shortly().slice(0, 5), [
    'minikube delete --profile X',
    'docker container rm --force --volumes X-m02',
    'docker volume rm X-m02',
    'docker network rm X',
    `minikube ${startArguments(context).join(' ').replace(clusterName, 'X')}`,
  ]);
});

test('a control plane whose disk is still there is not removed', async () => {
  progress('complete');
  docker({ volume: [clusterName] });
  const list = `printf '%s\\t-\\n' ${clusterName}`;
  project.script('minikube', { status: 'echo null; exit 7', 'node list': list });
  for (const attempt of [provider.create, provider.start])
    await fails(attempt(context), { advice: /^its data is still in the Docker volume/ });
  assert.equal(changes(), []);
});

test('a worker whose machine is gone is replaced by start', async () => {
  progress('complete');
  docker({ container: [clusterName, `${clusterName}-m03`], volume: [clusterName, `${clusterName}-m02`] });
  const [added, started] = [mark('added'), mark('started')];
  project.script('minikube', {
    status: `if [ -e ${added} ]; then echo '${running}'; elif [ -e ${started} ]; then echo '${nodes({}, {})}'; else echo null; exit 7; fi`,
    'node list': `printf '%s\\t192.168.49.2\\n' ${clusterName} ${clusterName}-m02 ${clusterName}-m03`,
    'node add': `touch ${added}`,
    start: `touch ${started}`,
  });
  assert.equal((await provider.state(context)).faults, [`the machine of ${clusterName}-m02 is gone`]);
  assert.is(await provider.start(context), 'changed');
  assert.equal(shortly(4), [
    'minikube node delete X-m02',
    'minikube start --profile X',
    'minikube node add --worker',
    `kubectl --kubeconfig ${environment.kubeconfig} --context`,
  ]);
});

/** An event as `minikube start --output json` prints it. */
const event = (type: string, data: object): object => ({
  ...{ specversion: '1.0', id: 'f5a4385a', source: 'https://minikube.sigs.k8s.io/' },
  ...{ type: `io.k8s.sigs.minikube.${type}`, datacontenttype: 'application/json', data },
});

const step = (number: number, name: string, message: string): object =>
  event('step', { currentstep: `${number}`, message, name, totalsteps: '19' });

test('the steps of a start are the progress of all nodes; the command and its messages are logged', async () => {
  const lines = [
    step(0, 'Initial Minikube Setup', '[x] minikube v1.38.1 on Debian 12.11'),
    event('info', { message: 'MINIKUBE_HOME=/home/ada' }),
    step(3, 'Starting Node', 'Starting "x" primary control-plane node in "x" cluster'),
    event('download.progress', {
      ...{ artifact: 'preloaded-images.tar.lz4', currentstep: '3', name: 'Starting Node' },
      ...{ progress: '0.25', totalsteps: '19' },
    }),
    step(13, 'Booting control plane', 'Booting up control plane ...'),
    step(3, 'Starting Node', 'Starting "x-m02" worker node in "x" cluster'),
    'a line of text',
    step(19, 'Done', 'Done! kubectl is now configured to use "x" cluster'),
  ].map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  untilStart(running, undefined, `[ "$1" != start ] || cat <<'END'\n${lines.join('\n')}\nEND`);
  const told: string[] = [];
  const progress: typeof context.progress = (text, share) =>
    told.push(`${share?.done}/${share?.total} ${text}`);
  await provider.create({ ...context, progress });
  assert.equal(told.slice(0, 6), [
    '0/57 Initial Minikube Setup',
    '3/57 Starting Node',
    '3/57 Starting Node: preloaded-images.tar.lz4 25%',
    '13/57 Booting control plane',
    '22/57 Starting Node',
    '38/57 Done',
  ]);
  assert.equal(context.logged.slice(0, 3), [
    `$ minikube ${startArguments(context).join(' ')}`,
    '[x] minikube v1.38.1 on Debian 12.11',
    'MINIKUBE_HOME=/home/ada',
  ]);
  assert.ok(context.logged.includes('a line of text'));
});

test('a failed start gives minikube’s reason, suggestion and exit code', async () => {
  const message = 'error provisioning guest: Failed to start host: no space';
  const name = 'GUEST_PROVISION';
  const box = ['╭──────────╮', '│ * please attach the file │', '╰──────────╯'];
  const says = [`X Exiting due to ${name}: ${message}`, '* Suggestion: free some space', ...box];
  const advice = 'free some space';
  const first = step(0, 'Initial Minikube Setup', 'minikube v1');
  const events = [first, event('error', { name, message, advice, exitcode: '80' })];
  for (const lines of [says, events.map((line) => JSON.stringify(line))]) {
    const start = `printf '%s\\n' '${lines.join("' '")}' >&2; exit 80`;
    project.script('minikube', { status: 'exit 85', start });
    await fails(provider.create(context), { exitCode: 80, why: `${name}: ${message}`, advice });
  }
  const small = 'RSRC_INSUFFICIENT_REQ_MEMORY: 1000MiB is less than the usable minimum of 1800MB';
  project.script('minikube', { status: 'exit 85', start: `echo 'X Exiting due to ${small}' >&2; exit 23` });
  await fails(provider.create(context), {
    why: small,
    advice: /^correct cluster\.cpus or cluster\.memoryMB in /,
  });
  assert.ok(existsSync(join(environment.state, 'environment.json')), 'destroy-environment knows it');
});

test('a stopped cluster starts with its own nodes and version; a missing one is an error', async () => {
  progress('complete');
  untilStart(running, `echo '${stopped}'; exit 7`);
  assert.is(await provider.stop(context), 'unchanged');
  const other = withSettings({ cluster: { nodes: 4, kubernetesVersion: 'v1.32.0' } });
  assert.is(await provider.start(other), 'changed');
  assert.not.ok(changes().some((line) => line.startsWith('minikube node add')));
  assert.is(changes()[0], `minikube ${startArguments(context).join(' ').replace(forNewOnes, '')}`);
  status('', 85);
  await fails(provider.start(context), { what: 'the cluster of environment `development` is not created' });
});

test.run();
