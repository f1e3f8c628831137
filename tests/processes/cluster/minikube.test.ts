import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { startArguments } from '../../../lib/cluster/minikube/commands.ts';
import { buildBackendVerification } from '../../../tasks/images.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

/*
 * The provider with scripted answers of minikube and Docker: states and failures that a real cluster is
 * not brought to in a test. `npm run test:minikube` runs end to end on a real minikube.
 */

const test = suite('minikube');

const clone = scriptedFolder('environments');
const { environment, settings } = await clone.context('minikube');
const { clusterName } = environment;
let context: CloneContext;

const engine = { NCPU: 8, MemTotal: 16 * 2 ** 30, ServerVersion: '27.3.0' };
const progressFile = join(environment.state, 'minikube.progress');

/** Plays `minikube status`: what it prints, and shell code for the other commands. */
const status = (text: string, exitCode = 0, body = ''): void =>
  clone.script(
    'minikube',
    `case "$1" in status) cat <<'END'\n${text}\nEND\nexit ${exitCode};; esac\n${body}`,
  );

/** Plays Docker: names of containers, volumes and networks, and what `docker info` says of its engine. */
function docker(names: { readonly [kind: string]: readonly string[] }, info: object = engine): void {
  const list = (kind: string) => `${kind}) printf '%s\\n' foreign ${(names[kind] ?? []).join(' ')};;`;
  clone.script(
    'docker',
    `case "$1 $2" in *\\ rm) exit 0;; esac\ncase "$1" in ${['container', 'volume', 'network'].map(list).join(' ')} info) cat <<'END'\n${JSON.stringify(info)}\nEND\n;; esac`,
  );
}

/** As after a create that came so far. */
function progress(step: 'started' | 'complete' | undefined): void {
  mkdirSync(environment.state, { recursive: true });
  if (step !== undefined) writeFileSync(progressFile, step);
  writeFileSync(join(environment.state, 'environment.json'), '{"provider":"minikube"}');
}

test.before.each(async () => {
  process.env.MINIKUBE_HOME = join(clone.folder, '.minikube');
  context = await clone.context('minikube');
  clone.script('kubectl', '');
  docker({});
  clone.forget();
});
test.after.each(() => clone.reset());
test.after(() => clone.remove());

type Node = { Name?: string; Host?: string; Kubelet?: string; APIServer?: string };

/** What `minikube status` prints of nodes, the first of which is the control plane. */
const nodes = (...states: readonly Node[]): string =>
  JSON.stringify(
    states.map(({ Host = 'Running', Name, Kubelet, APIServer }, index) => ({
      Name: Name ?? `node-${index + 1}`,
      Host,
      Kubelet: Kubelet ?? Host,
      APIServer: APIServer ?? (index === 0 ? Host : 'Irrelevant'),
    })),
  );
const running = nodes({}, {}, {});
const stopped = nodes({ Host: 'Stopped' }, { Host: 'Stopped' }, { Host: 'Stopped' });

/** Answers as one that has no profile until `start`, and three nodes from then on. */
const untilStart = `case "$1" in status) if [ -e "${environment.state}/started" ]; then echo '${running}'; else exit 85; fi;; start) mkdir -p "${environment.state}"; touch "${environment.state}/started";; esac`;

/** Calls that change something, as a dry run prints them: the form of the output is left out. */
const changes = (): string[] =>
  clone
    .calls()
    .filter((line) => !/^(minikube (status|node list)|docker (info|\w+ ls)) /.test(line))
    .map((line) => line.replace(/ --output json$/, ''));

test('start gets all settings', () => {
  const cluster = {
    ...settings.cluster,
    ...{ driver: 'podman', nodes: 1, memoryMB: 4096, cni: 'cilium' },
    ...{ containerRuntime: 'containerd' as const, baseImage: 'base:v1', startArguments: ['--preload=false'] },
  };
  assert.is(
    startArguments({ environment, settings: { ...settings, cluster } }).join(' '),
    `start --profile ${clusterName} --driver podman --nodes 1 --cpus 2 --memory 4096mb ` +
      '--kubernetes-version v1.31.0 --cni cilium --container-runtime containerd --base-image base:v1 ' +
      '--wait all --interactive=false --preload=false',
  );
});

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

test('create runs what its dry run prints: start, addons, waits and the default storage class', async () => {
  clone.script('minikube', untilStart);
  assert.is(await provider.create(context), 'changed');
  assert.equal(
    changes().map((line) => line.replace(environment.kubeconfig, '.state/development/kubeconfig')),
    provider.commands.create(context).map((line) => line.replace(/^KUBECONFIG=\S+ /, '')),
  );
  assert.ok(existsSync(join(environment.state, 'environment.json')));
  assert.is(await provider.phase(context), 'running');
});

test('without addons and with the cluster’s own storage class, create only starts', () => {
  const cluster = { ...settings.cluster, storageClass: '', addons: [] };
  const { create, start } = provider.commands;
  assert.equal(
    create({ environment, settings: { ...settings, cluster } }).map((line) => line.replace('--nodes 3 ', '')),
    start({ environment, settings: { ...settings, cluster } }),
  );
});

test('minikube writes to the environment’s kubeconfig, and locks where the user’s other profiles lock', async () => {
  clone.script('minikube', `echo "$KUBECONFIG $TMPDIR" >> "$CALLS"\n${untilStart}`);
  process.env.TMPDIR = '/tmp';
  await provider.create(context);
  const places = clone.calls().filter((line) => line.startsWith('/'));
  assert.equal([...new Set(places)], [`${environment.kubeconfig} /tmp`]);
});

test('a running cluster is not touched', async () => {
  progress('complete');
  status(running);
  assert.is(await provider.create(context), 'unchanged');
  assert.is(await provider.start(context), 'unchanged');
  assert.equal(changes(), []);
});

test('a cluster whose first start was interrupted is recreated', async () => {
  progress(undefined);
  const file = join(environment.state, 'deleted');
  clone.script(
    'minikube',
    `case "$1" in status) if [ -e "${environment.state}/started" ]; then echo '${running}'; elif [ -e "${file}" ]; then exit 85; else echo '${nodes({})}'; fi;; delete) touch "${file}";; start) touch "${environment.state}/started";; esac`,
  );
  assert.is(await provider.phase(context), 'creating');
  assert.is(
    (await failureOf(provider.start(context))).advice,
    'run `npx tsx tasks.ts create-environment` again',
  );
  assert.is(await provider.create(context), 'changed');
  assert.equal(
    changes()
      .slice(0, 2)
      .map((line) => line.split(' ')[1]),
    ['delete', 'start'],
  );
  assert.is(await provider.phase(context), 'running');
});

test('a cluster whose addons were interrupted continues with them', async () => {
  progress('started');
  status(running);
  assert.is(await provider.create(context), 'changed');
  assert.is(changes()[0], `minikube addons enable volumesnapshots --profile ${clusterName}`);
  assert.is(await provider.phase(context), 'running');
});

test('a start that ends with a node that does not run is a failure', async () => {
  clone.script('minikube', untilStart.replace(running, nodes({}, { Name: 'X-m02', Kubelet: 'Stopped' }, {})));
  const error = await failureOf(provider.create(context));
  assert.is(error.why, 'kubelet of X-m02: Stopped');
  assert.is(await provider.phase(context), 'creating');
});

test('a profile that the environment has no record of is not touched', async () => {
  status(running);
  const error = await failureOf(provider.create(context));
  assert.match(error.advice ?? '', /^`npx .* destroy-environment` removes the cluster/);
  assert.equal(changes(), []);
});

test('a control plane whose disk is gone is recreated by create, and start says so', async () => {
  progress('complete');
  docker({ container: [`${clusterName}-m02`], volume: [`${clusterName}-m02`], network: [clusterName] });
  clone.script(
    'minikube',
    `${untilStart.replace('exit 85', 'echo null; exit 7')}\n[ "$1 $2" != 'node list' ] || printf '%s\\t-\\n' ${clusterName} ${clusterName}-m02`,
  );
  const error = await failureOf(provider.start(context));
  assert.equal(
    [error.why, error.advice],
    [
      `the machine of ${clusterName} is gone`,
      'its data is lost: `npx tsx tasks.ts create-environment` recreates the cluster',
    ],
  );
  assert.is(await provider.create(context), 'changed');
  assert.match(context.logged.join(), /recreated without its data/);
  assert.equal(
    changes()
      .slice(0, 5)
      .map((line) => line.replaceAll(clusterName, 'X')),
    [
      'minikube delete --profile X',
      'docker container rm --force --volumes X-m02',
      'docker volume rm X-m02',
      'docker network rm X',
      `minikube ${startArguments(context).join(' ').replace(clusterName, 'X')}`,
    ],
  );
});

test('a control plane whose disk is still there is not removed', async () => {
  progress('complete');
  docker({ volume: [clusterName] });
  clone.script(
    'minikube',
    `case "$1" in status) echo null; exit 7;; node) printf '%s\\t-\\n' ${clusterName};; esac`,
  );
  for (const attempt of [provider.create, provider.start]) {
    const error = await failureOf(attempt(context));
    assert.match(error.advice ?? '', /^its data is still in the Docker volume/);
  }
  assert.equal(changes(), []);
});

test('a worker whose machine is gone is replaced by start', async () => {
  progress('complete');
  docker({ container: [clusterName, `${clusterName}-m03`], volume: [clusterName, `${clusterName}-m02`] });
  const mark = (name: string) => join(environment.state, name);
  clone.script(
    'minikube',
    `case "$1 $2" in
      status*) if [ -e ${mark('added')} ]; then echo '${running}'; elif [ -e ${mark('started')} ]; then echo '${nodes({}, {})}'; else echo null; exit 7; fi;;
      'node list') printf '%s\\t192.168.49.2\\n' ${clusterName} ${clusterName}-m02 ${clusterName}-m03;;
      'node add') touch ${mark('added')};;
      start*) touch ${mark('started')};;
    esac`,
  );
  assert.equal(await provider.faults?.(context), [`the machine of ${clusterName}-m02 is gone`]);
  assert.is(await provider.start(context), 'changed');
  assert.equal(
    changes().map((line) => line.replaceAll(clusterName, 'X').split(' ').slice(0, 4).join(' ')),
    [
      'minikube node delete X-m02',
      'minikube start --profile X',
      'minikube node add --worker',
      `kubectl --kubeconfig ${environment.kubeconfig} --context`,
    ],
  );
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
  clone.script('minikube', `${untilStart}\n[ "$1" != start ] || cat <<'END'\n${lines.join('\n')}\nEND`);
  const told: string[] = [];
  await provider.create({
    ...context,
    progress: (text, share) => told.push(`${share?.done}/${share?.total} ${text}`),
  });
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
  const says = [
    'X Exiting due to GUEST_PROVISION: error provisioning guest: Failed to start host: no space',
    '* Suggestion: free some space',
    '╭──────────╮',
    '│ * please attach the file │',
    '╰──────────╯',
  ];
  const message = 'error provisioning guest: Failed to start host: no space';
  const name = 'GUEST_PROVISION';
  const asEvent = JSON.stringify(
    event('error', { name, message, advice: 'free some space', exitcode: '80' }),
  );
  for (const lines of [says, [JSON.stringify(step(0, 'Initial Minikube Setup', 'minikube v1')), asEvent]]) {
    clone.script(
      'minikube',
      `case "$1" in status) exit 85;; start) printf '%s\\n' '${lines.join("' '")}' >&2; exit 80;; esac`,
    );
    const error = await failureOf(provider.create(context));
    assert.equal([error.exitCode, error.why, error.advice], [80, `${name}: ${message}`, 'free some space']);
  }
  assert.ok(existsSync(join(environment.state, 'environment.json')), 'destroy-environment knows it');
});

test('missing resources of Docker are named before anything is written', async () => {
  status('', 85);
  const failure = (info: object) => {
    docker({}, { ...engine, ...info });
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
  docker({}, { ...engine, ServerVersion: '20.10.24' });
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
    buildBackendVerification.check?.({
      ...{ args: { tag: '1.2.0' }, passThrough: [] },
      options: { env: 'development', provider: 'embedded' },
    });
  assert.is((await failureOf(build())).what, 'Docker does not answer');
  await check(0, 'kvm2');
});

test('only the controller nginx is an addon', () => {
  const enables = (controller: 'traefik' | 'nginx' | 'none') =>
    provider.commands
      .create({ environment, settings: { ...settings, ingress: { ...settings.ingress, controller } } })
      .some((line) => line.includes('addons enable ingress '));
  assert.equal([enables('traefik'), enables('nginx'), enables('none')], [false, true, false]);
});

test('a stopped cluster starts without the number of nodes, which minikube warns of; a missing one is an error', async () => {
  progress('complete');
  clone.script('minikube', untilStart.replace('exit 85', `echo '${stopped}'; exit 7`));
  assert.is(await provider.stop(context), 'unchanged');
  assert.is(await provider.start(context), 'changed');
  assert.is(changes()[0], `minikube ${startArguments(context).join(' ').replace('--nodes 3 ', '')}`);
  status('', 85);
  const error = await failureOf(provider.start(context));
  assert.is(error.what, 'the cluster of environment `development` is not created');
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

test.run();
