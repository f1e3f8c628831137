import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

/*
 * The provider with scripted answers of minikube and Docker: states and failures that a real cluster is
 * not brought to in a test. `npm run test:minikube` runs end to end on a real minikube.
 */

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/minikube/cluster.ts') &
    typeof import('../../../lib/cluster/minikube/commands.ts');
  environment: Environment;
  settings: Settings;
  context: RecordedContext;
  /** Plays `minikube status`: what it prints, and shell code for the other commands. */
  status: (text: string, exitCode?: number, body?: string) => void;
  /** Plays Docker: names of containers, volumes and networks, and what `docker info` says of its engine. */
  docker: (names: { readonly [kind: string]: readonly string[] }, info?: object) => void;
  /** As after a create that came so far. */
  progress: (step: 'started' | 'complete' | undefined) => void;
};

const test = suite<State>('minikube');

const engine = { NCPU: 8, MemTotal: 16 * 2 ** 30, ServerVersion: '27.3.0' };

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = {
    ...(await state.clone.lib<typeof import('../../../lib/cluster/minikube/cluster.ts')>(
      'cluster/minikube/cluster.ts',
    )),
    ...(await state.clone.lib<typeof import('../../../lib/cluster/minikube/commands.ts')>(
      'cluster/minikube/commands.ts',
    )),
  };
  state.environment = await state.clone.environment('minikube');
  const { loadSettings } =
    await state.clone.lib<typeof import('../../../lib/settings/settings.ts')>('settings/settings.ts');
  state.settings = await loadSettings('development', 'minikube');
  process.env.MINIKUBE_HOME = join(state.clone.folder, '..', '.minikube');
  const { clone, environment } = state;
  state.status = (text, exitCode = 0, body = '') =>
    clone.script(
      'minikube',
      `case "$1" in status) cat <<'END'\n${text}\nEND\nexit ${exitCode};; esac\n${body}`,
    );
  state.docker = (names, info = engine) => {
    const list = (kind: string) => `${kind}) printf '%s\\n' foreign ${(names[kind] ?? []).join(' ')};;`;
    clone.script(
      'docker',
      `case "$1 $2" in *\\ rm) exit 0;; esac\ncase "$1" in ${['container', 'volume', 'network'].map(list).join(' ')} info) cat <<'END'\n${JSON.stringify(info)}\nEND\n;; esac`,
    );
  };
  state.progress = (step) => {
    mkdirSync(environment.state, { recursive: true });
    const file = join(environment.state, 'minikube.progress');
    if (step === undefined) rmSync(file, { force: true });
    else writeFileSync(file, step);
    writeFileSync(join(environment.state, 'environment.json'), '{"provider":"minikube"}');
  };
});

test.before.each(async (state) => {
  state.context = await state.clone.context('minikube');
  state.clone.script('kubectl', '');
  state.docker({});
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

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
const untilStart = (state: State): string =>
  `case "$1" in status) if [ -e "${state.environment.state}/started" ]; then echo '${running}'; else exit 85; fi;; start) mkdir -p "${state.environment.state}"; touch "${state.environment.state}/started";; esac`;

const changes = (clone: ScriptedClone): string[] =>
  clone.calls().filter((line) => !/^(minikube (status|node list)|docker (info|\w+ ls)) /.test(line));

test('start gets all settings', ({ lib, environment, settings }) => {
  assert.is(
    lib.startArguments({ environment, settings }).join(' '),
    `start --profile ${environment.clusterName} --driver docker --nodes 3 --cpus 2 --memory 3072mb ` +
      '--kubernetes-version v1.31.0 --cni calico --wait all --interactive=false',
  );
  const cluster = {
    ...settings.cluster,
    ...{ driver: 'podman', nodes: 1, memoryMB: 4096, cni: 'cilium' },
    ...{ containerRuntime: 'containerd' as const, baseImage: 'base:v1', startArguments: ['--preload=false'] },
  };
  assert.is(
    lib.startArguments({ environment, settings: { ...settings, cluster } }).join(' '),
    `start --profile ${environment.clusterName} --driver podman --nodes 1 --cpus 2 --memory 4096mb ` +
      '--kubernetes-version v1.31.0 --cni cilium --container-runtime containerd --base-image base:v1 ' +
      '--wait all --interactive=false --preload=false',
  );
});

test('the phase is that of all nodes', async ({ lib, environment, context, status, progress }) => {
  const phase = (text: string, exitCode?: number) => {
    status(text, exitCode);
    return lib.cluster.phase({ ...context, environment });
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
  assert.equal(await lib.cluster.faults?.({ ...context, environment }), ['node node-3: Stopped']);
  assert.is(await phase(nodes({}, { Kubelet: 'Stopped' }), 2), 'degraded');
  assert.equal(await lib.cluster.faults?.({ ...context, environment }), ['kubelet of node-2: Stopped']);
  assert.is(await phase(nodes({ APIServer: 'Paused' }, {}), 2), 'degraded');
  assert.is(await phase('X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38), 'degraded');
});

test('a minikube or a Docker that fails is an error, not the absence of a cluster', async ({
  lib,
  environment,
  context,
  clone,
  status,
  progress,
}) => {
  progress('complete');
  status('cannot find home', 1);
  const error = await failureOf(lib.cluster.phase({ ...context, environment }));
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
    for (const attempt of ['phase', 'destroy', 'stop'] as const) {
      const {
        what,
        why,
        exitCode: code,
      } = await failureOf(lib.cluster[attempt]({ ...context, environment }));
      assert.equal([what, why], ['`minikube status` failed', reason], `${attempt}: ${text}`);
      assert.is(code, exitCode === 137 ? 137 : 1);
    }
  }
  clone.script('minikube', 'kill -9 $$');
  const killed = await failureOf(lib.cluster.destroy({ ...context, environment }));
  assert.equal([killed.what, killed.why], ['`minikube status` failed', 'ended by SIGKILL']);
  assert.equal(changes(clone), []);
  status('null', 7, 'echo "no such file" >&2; exit 1');
  const listing = await failureOf(lib.cluster.phase({ ...context, environment }));
  assert.equal([listing.what, listing.why], ['`minikube node list` failed', 'no such file']);
  // minikube answers like this when Docker is down, and also when a container is missing.
  status('null', 7);
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  for (const attempt of ['phase', 'destroy', 'stop'] as const) {
    const { what } = await failureOf(lib.cluster[attempt]({ ...context, environment }));
    assert.is(what, 'Docker does not answer', attempt);
  }
  assert.ok(existsSync(join(environment.state, 'minikube.progress')));
});

test('create starts, enables the addons, waits for them and moves the default storage class', async (state) => {
  const { lib, environment, settings, context, clone } = state;
  clone.script('minikube', untilStart(state));
  assert.is(await lib.cluster.create({ ...context, environment, settings }), 'changed');
  const profile = environment.clusterName;
  const kubectl = `kubectl --kubeconfig ${environment.kubeconfig} --context ${profile}`;
  const annotation = 'storageclass.kubernetes.io/is-default-class';
  const done = changes(clone);
  assert.equal(done, [
    `minikube ${lib.startArguments({ environment, settings }).join(' ')}`,
    `${kubectl} wait --for=condition=Ready nodes --all --timeout 120s`,
    `minikube addons enable volumesnapshots --profile ${profile}`,
    `minikube addons enable csi-hostpath-driver --profile ${profile}`,
    `${kubectl} --namespace kube-system rollout status deployments,statefulsets,daemonsets --timeout 360s`,
    `${kubectl} annotate storageclass standard ${annotation}=false --overwrite`,
    `${kubectl} annotate storageclass csi-hostpath-sc ${annotation}=true --overwrite`,
  ]);
  assert.equal(
    done.map((line) => line.replace(environment.kubeconfig, '.state/development/kubeconfig')),
    lib.cluster.commands
      .create({ environment, settings })
      .map((line) => line.replace(/^KUBECONFIG=\S+ /, '')),
  );
  assert.ok(existsSync(join(environment.state, 'environment.json')));
  assert.is(await lib.cluster.phase({ ...context, environment }), 'running');
});

test('without addons and with the cluster’s own storage class, create only starts', ({
  lib,
  environment,
  settings,
}) => {
  const cluster = { ...settings.cluster, storageClass: '', addons: [] };
  const { create, start } = lib.cluster.commands;
  assert.equal(
    create({ environment, settings: { ...settings, cluster } }),
    start({ environment, settings: { ...settings, cluster } }),
  );
});

test('minikube writes to the environment’s kubeconfig, and locks where the user’s other profiles lock', async (state) => {
  const { lib, environment, settings, context, clone } = state;
  clone.script('minikube', `echo "$KUBECONFIG $TMPDIR" >> "$CALLS"\n${untilStart(state)}`);
  process.env.TMPDIR = '/tmp';
  await lib.cluster.create({ ...context, environment, settings });
  const places = clone.calls().filter((line) => line.startsWith('/'));
  assert.equal([...new Set(places)], [`${environment.kubeconfig} /tmp`]);
});

test('a running cluster is not touched', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  status,
  progress,
}) => {
  progress('complete');
  status(running);
  assert.is(await lib.cluster.create({ ...context, environment, settings }), 'unchanged');
  assert.is(await lib.cluster.start({ ...context, environment, settings }), 'unchanged');
  assert.equal(changes(clone), []);
});

test('a cluster whose first start was interrupted is recreated', async (state) => {
  const { lib, environment, settings, context, clone, progress } = state;
  progress(undefined);
  const file = join(environment.state, 'deleted');
  clone.script(
    'minikube',
    `case "$1" in status) if [ -e "${environment.state}/started" ]; then echo '${running}'; elif [ -e "${file}" ]; then exit 85; else echo '${nodes({})}'; fi;; delete) touch "${file}";; start) touch "${environment.state}/started";; esac`,
  );
  assert.is(await lib.cluster.phase({ ...context, environment }), 'creating');
  assert.is(
    (await failureOf(lib.cluster.start({ ...context, environment, settings }))).advice,
    'run `npx tsx tasks.ts create-environment` again',
  );
  assert.is(await lib.cluster.create({ ...context, environment, settings }), 'changed');
  assert.equal(
    changes(clone)
      .slice(0, 2)
      .map((line) => line.split(' ')[1]),
    ['delete', 'start'],
  );
  assert.is(await lib.cluster.phase({ ...context, environment }), 'running');
});

test('a cluster whose addons were interrupted continues with them', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  status,
  progress,
}) => {
  progress('started');
  status(running);
  assert.is(await lib.cluster.create({ ...context, environment, settings }), 'changed');
  assert.is(changes(clone)[0], `minikube addons enable volumesnapshots --profile ${environment.clusterName}`);
  assert.is(await lib.cluster.phase({ ...context, environment }), 'running');
});

test('a start that ends with a node that does not run is a failure', async (state) => {
  const { lib, environment, settings, context, clone } = state;
  clone.script(
    'minikube',
    untilStart(state).replace(running, nodes({}, { Name: 'X-m02', Kubelet: 'Stopped' }, {})),
  );
  const error = await failureOf(lib.cluster.create({ ...context, environment, settings }));
  assert.is(error.why, 'kubelet of X-m02: Stopped');
  assert.is(await lib.cluster.phase({ ...context, environment }), 'creating');
});

test('a profile that the environment has no record of is not touched', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  status,
}) => {
  status(running);
  const error = await failureOf(lib.cluster.create({ ...context, environment, settings }));
  assert.match(error.advice ?? '', /^`npx .* destroy-environment` removes the cluster/);
  assert.equal(changes(clone), []);
});

test('a control plane whose disk is gone is recreated by create, and start says so', async (state) => {
  const { lib, environment, settings, context, clone, progress, docker } = state;
  const { clusterName } = environment;
  progress('complete');
  docker({ container: [`${clusterName}-m02`], volume: [`${clusterName}-m02`], network: [clusterName] });
  clone.script(
    'minikube',
    `${untilStart(state).replace('exit 85', 'echo null; exit 7')}\n[ "$1 $2" != 'node list' ] || printf '%s\\t-\\n' ${clusterName} ${clusterName}-m02`,
  );
  const error = await failureOf(lib.cluster.start({ ...context, environment, settings }));
  assert.equal(
    [error.why, error.advice],
    [
      `the machine of ${clusterName} is gone`,
      'its data is lost: `npx tsx tasks.ts create-environment` recreates the cluster',
    ],
  );
  assert.is(await lib.cluster.create({ ...context, environment, settings }), 'changed');
  assert.match(context.logged.join(), /recreated without its data/);
  assert.equal(
    changes(clone)
      .slice(0, 5)
      .map((line) => line.replaceAll(clusterName, 'X')),
    [
      'minikube delete --profile X',
      'docker container rm --force --volumes X-m02',
      'docker volume rm X-m02',
      'docker network rm X',
      `minikube ${lib.startArguments({ environment, settings }).join(' ').replace(clusterName, 'X')}`,
    ],
  );
});

test('a control plane whose disk is still there is not removed', async (state) => {
  const { lib, environment, settings, context, clone, progress, docker } = state;
  const { clusterName } = environment;
  progress('complete');
  docker({ volume: [clusterName] });
  clone.script(
    'minikube',
    `case "$1" in status) echo null; exit 7;; node) printf '%s\\t-\\n' ${clusterName};; esac`,
  );
  for (const attempt of [lib.cluster.create, lib.cluster.start]) {
    const error = await failureOf(attempt({ ...context, environment, settings }));
    assert.match(error.advice ?? '', /^its data is still in the Docker volume/);
  }
  assert.equal(changes(clone), []);
});

test('a worker whose machine is gone is replaced by start', async (state) => {
  const { lib, environment, settings, context, clone, progress, docker } = state;
  const { clusterName } = environment;
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
  assert.equal(await lib.cluster.faults?.({ ...context, environment }), [
    `the machine of ${clusterName}-m02 is gone`,
  ]);
  assert.is(await lib.cluster.start({ ...context, environment, settings }), 'changed');
  assert.equal(
    changes(clone).map((line) => line.replaceAll(clusterName, 'X').split(' ').slice(0, 4).join(' ')),
    [
      'minikube node delete X-m02',
      'minikube start --profile X',
      'minikube node add --worker',
      `kubectl --kubeconfig ${environment.kubeconfig} --context`,
    ],
  );
});

test('a profile that cannot be read is named, and only destroyed on request', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  status,
  progress,
}) => {
  progress('complete');
  status('X Exiting due to HOST_CONFIG_LOAD: unexpected end of JSON input', 38);
  for (const attempt of [lib.cluster.create, lib.cluster.start]) {
    const error = await failureOf(attempt({ ...context, environment, settings }));
    assert.match(error.why ?? '', /unexpected end of JSON input/);
    assert.match(error.advice ?? '', /destroy-environment/);
  }
  assert.equal(changes(clone), []);
  assert.is(await lib.cluster.destroy({ ...context, environment }), 'changed');
});

test('a failed start gives minikube’s reason, suggestion and exit code', async (state) => {
  const { lib, environment, settings, context, clone } = state;
  const says = [
    'X Exiting due to GUEST_PROVISION: error provisioning guest: Failed to start host: no space',
    '* Suggestion: free some space',
    '╭──────────╮',
    '│ * please attach the file │',
    '╰──────────╯',
  ];
  clone.script(
    'minikube',
    `case "$1" in status) exit 85;; start) printf '%s\\n' '${says.join("' '")}' >&2; exit 80;; esac`,
  );
  const error = await failureOf(lib.cluster.create({ ...context, environment, settings }));
  assert.equal(
    [error.exitCode, error.why, error.advice],
    [80, 'GUEST_PROVISION: error provisioning guest: Failed to start host: no space', 'free some space'],
  );
  assert.ok(existsSync(join(environment.state, 'environment.json')), 'destroy-environment knows it');
});

test('missing resources of Docker are named before anything is written', async ({
  lib,
  environment,
  settings,
  context,
  clone,
  status,
  docker,
}) => {
  status('', 85);
  const failure = (info: object) => {
    docker({}, { ...engine, ...info });
    return failureOf(lib.cluster.create({ ...context, environment, settings }));
  };
  const memory = await failure({ MemTotal: 8 * 2 ** 30 });
  assert.is(memory.what, 'Docker has 8192 MB of memory, the cluster needs 9216 MB');
  assert.match(memory.advice ?? '', /cluster\.memoryMB or cluster\.nodes in environments\/development/);
  const cpus = await failure({ NCPU: 1 });
  assert.is(cpus.what, 'Docker has 1 CPUs, a node of the cluster needs 2');
  assert.is((await failure({ NCPU: 0, ServerErrors: ['no daemon'] })).what, 'Docker does not answer');
  assert.equal(changes(clone), []);
  assert.not.ok(existsSync(join(environment.state, 'environment.json')));
});

test('an old Docker engine is reported, not refused', async (state) => {
  const { lib, environment, settings, context, clone, docker } = state;
  clone.script('minikube', untilStart(state));
  docker({}, { ...engine, ServerVersion: '20.10.24' });
  await lib.cluster.create({ ...context, environment, settings });
  assert.match(context.logged.join(), /Docker engine 20\.10\.24 is older than 24/);
});

test('root and an unavailable Docker are refused only for the docker driver', async ({
  lib,
  settings,
  clone,
}) => {
  const check = async (user: number, driver: string): Promise<void> =>
    lib.cluster.check?.({ ...settings, cluster: { ...settings.cluster, driver } }, user);
  clone.script('docker', 'echo 27.3.0');
  assert.match((await failureOf(check(0, 'docker'))).what, /cannot be run as root/);
  await check(1000, 'docker');
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  assert.is((await failureOf(check(1000, 'docker'))).what, 'Docker does not answer');
  await check(0, 'kvm2');
});

test('only the controller nginx is an addon', ({ lib, environment, settings }) => {
  const enables = (controller: 'traefik' | 'nginx' | 'none') =>
    lib.cluster.commands
      .create({ environment, settings: { ...settings, ingress: { ...settings.ingress, controller } } })
      .some((line) => line.includes('addons enable ingress '));
  assert.equal([enables('traefik'), enables('nginx'), enables('none')], [false, true, false]);
});

test('a stopped cluster starts with the same arguments; a missing one is an error', async (state) => {
  const { lib, environment, settings, context, clone, status, progress } = state;
  progress('complete');
  clone.script('minikube', untilStart(state).replace('exit 85', `echo '${stopped}'; exit 7`));
  assert.is(await lib.cluster.stop({ ...context, environment }), 'unchanged');
  assert.is(await lib.cluster.start({ ...context, environment, settings }), 'changed');
  assert.is(changes(clone)[0], `minikube ${lib.startArguments({ environment, settings }).join(' ')}`);
  status('', 85);
  const error = await failureOf(lib.cluster.start({ ...context, environment, settings }));
  assert.is(error.what, 'the cluster of environment `development` is not created');
});

test('stop and destroy name the profile, remove minikube’s leftovers, and do nothing without a cluster', async ({
  lib,
  environment,
  context,
  clone,
  status,
  docker,
  progress,
}) => {
  const { clusterName, kubeconfig } = environment;
  status('', 85);
  assert.is(await lib.cluster.stop({ ...context, environment }), 'unchanged');
  assert.is(await lib.cluster.destroy({ ...context, environment }), 'unchanged');
  assert.equal(changes(clone), []);
  progress('complete');
  status(running);
  docker({ network: [clusterName, `${clusterName}x`] });
  const machines = join(process.env.MINIKUBE_HOME ?? '', 'machines');
  for (const name of [`${clusterName}-m02`, `${clusterName}x`])
    mkdirSync(join(machines, name), { recursive: true });
  assert.is(await lib.cluster.stop({ ...context, environment }), 'changed');
  writeFileSync(kubeconfig, '');
  assert.is(await lib.cluster.destroy({ ...context, environment }), 'changed');
  assert.equal(changes(clone), [
    `minikube stop --profile ${clusterName}`,
    `minikube delete --profile ${clusterName}`,
    `docker network rm ${clusterName}`,
  ]);
  assert.not.ok(existsSync(kubeconfig));
  assert.equal(readdirSync(machines), [`${clusterName}x`]);
  assert.throws(() => readFileSync(join(environment.state, 'minikube.progress')));
});

test.run();
