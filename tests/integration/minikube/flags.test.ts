import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { startArguments } from '../../../lib/cluster/minikube/commands.ts';
import { root } from '../../../lib/ground/project.ts';
import type { Environment } from '../../../lib/settings/environment.ts';
import { loadSettings, type Settings } from '../../../lib/settings/settings.ts';
import { cacheFolder } from '../../../lib/tools/cache.ts';
import { findTool } from '../../../lib/tools/tools.ts';
import { environmentIn } from '../../rig/environment.ts';
import { failureOf, taskContext } from '../../rig/task-context.ts';
import { startDockerEngine } from './docker-engine.ts';

/*
 * The real minikube reads our flags. Docker may be missing, so no cluster is created: `start --dry-run` checks the
 * flags and their effect, the other commands are called for a profile that does not exist.
 */

type Ended = { readonly exitCode: number; readonly output: string };

type State = {
  folder: string;
  server: Server;
  environment: Environment;
  settings: Settings;
  minikube: (...words: readonly string[]) => Promise<Ended>;
  start: (...words: readonly string[]) => Promise<Ended>;
};

/** minikube refuses its docker driver to root. */
const asUser =
  process.getuid?.() === 0 ? ['unshare', '--user', '--map-user=1000', '--map-group=1000'] : ['env'];

async function whyLeftOut(): Promise<string | undefined> {
  if ((await findTool('minikube')) === undefined) {
    return 'no minikube on PATH or in the cache (./run install-tools --provider minikube gets it)';
  }
  const [user = '', ...flags] = asUser;
  const works = (command: string, ...args: string[]): Promise<boolean> =>
    promisify(execFile)(command, args).then(
      () => true,
      () => false,
    );
  if (!(await works('docker', '--version')))
    return 'minikube asks Docker by its command line, which is not there';
  if (!(await works(user, ...flags, 'true'))) return 'root cannot become another user here';
  return undefined;
}

const reason = await whyLeftOut();
if (reason !== undefined) process.stdout.write(`left out: the flags of minikube, ${reason}\n`);

const all = suite<State>('minikube flags');
const test: typeof all | typeof all.skip = reason === undefined ? all : all.skip;

/** All our minikube commands besides `start`. */
async function commands(environment: Environment, settings: Settings): Promise<readonly string[]> {
  const { create, stop, destroy } = provider.commands;
  const printed = [
    ...create({ environment, settings }),
    ...stop({ environment }),
    ...(await destroy({ environment })),
  ].flatMap((line) => /^KUBECONFIG=\S+ minikube (.*)$/.exec(line)?.[1] ?? []);
  const others = printed.filter((line) => !line.startsWith('start '));
  const status = `status --profile ${environment.clusterName} --output json`;
  return [...others, status, `ip --profile ${environment.clusterName}`];
}

/** Exit codes of minikube: wrong command line; profile not found. */
const usage = 14;
const noProfile = 85;

all('the commands checked here are those of the transcripts', async () => {
  const folder = join(root, 'tests/golden/minikube');
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const printed = texts.flatMap((text) =>
    [...text.matchAll(/(?:^KUBECONFIG=\S+ |\$\()minikube (.*?)(?:\)|$)/gm)].map(([, words = '']) => words),
  );
  const environment = { ...environmentIn('', 'minikube'), clusterName: 'development-CLONE' };
  const settings = await loadSettings({ name: 'development', provider: 'minikube' });
  const checked = [
    startArguments({ environment, settings }).join(' '),
    startArguments({ environment, settings }, 'existing').join(' '),
    ...(await commands(environment, settings)),
  ];
  const status = 'status --profile development-CLONE --output json';
  assert.equal([...new Set([...printed, status])].sort(), checked.sort());
});

all.before(async (state) => {
  if (reason !== undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'mk-'));
  // The project of the environment: its settings decide the driver.
  symlinkSync(join(root, 'environments'), join(folder, 'environments'));
  const { host, server } = await startDockerEngine(folder);
  const environment = environmentIn(folder, 'minikube');
  const settings = await loadSettings({ name: 'development', provider: 'minikube' });
  const program = (await findTool('minikube'))?.path ?? '';
  const own = {
    DOCKER_HOST: host,
    HOME: folder,
    // The tools keep their place.
    XDG_CACHE_HOME: dirname(cacheFolder()),
    MINIKUBE_HOME: folder,
    KUBECONFIG: environment.kubeconfig,
    MINIKUBE_WANTUPDATENOTIFICATION: 'false',
  };
  Object.assign(process.env, own);
  const minikube = async (...words: readonly string[]): Promise<Ended> => {
    const [user = '', ...flags] = asUser;
    try {
      const { stdout, stderr } = await promisify(execFile)(user, [...flags, program, ...words]);
      return { exitCode: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { exitCode: code, output: stdout + stderr };
    }
  };
  const start = (...words: readonly string[]): Promise<Ended> =>
    minikube(...startArguments({ environment, settings }), '--dry-run', '--alsologtostderr', ...words);
  Object.assign(state, { folder, server, environment, settings, minikube, start });
});

all.after(({ folder, server }) => {
  if (reason !== undefined) return;
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('start accepts every flag and configures the cluster of the settings', async ({
  start,
  environment,
}) => {
  const { exitCode, output } = await start();
  assert.is(exitCode, 0, output);
  assert.match(output, /dry-run validation complete/);
  const [, config = ''] = /cluster config:\n(.*)/.exec(output) ?? [];
  for (const part of [
    `Name:${environment.clusterName} `,
    'Memory:3072 ',
    'CPUs:2 ',
    'Driver:docker ',
    'KubernetesVersion:v1.31.0 ',
    'CNI:calico}',
    'MultiNodeRequested:true ',
    'VerifyComponents:map[apiserver:true apps_running:true default_sa:true extra:true kubelet:true node_ready:true system_pods:true]',
  ]) {
    assert.ok(config.includes(part), `${part} is not in ${config}`);
  }
  assert.not.match(output, /is invalid for --wait/);
});

for (const [words, complaint] of [
  [['--no-such-flag'], /unknown flag/],
  [['--driver', 'dockr'], /driver 'dockr' is not supported/],
  [['--kubernetes-version', 'v9.9.9'], /not supported/],
  [['--cni', 'calicoo'], /calicoo: no such file/],
] as const) {
  test(`the same check refuses a wrong value: ${words.join(' ')}`, async ({ start }) => {
    const { exitCode, output } = await start(...words);
    assert.is.not(exitCode, 0);
    assert.match(output, complaint);
  });
}

test('an unknown component to wait for would be detected', async ({ start }) => {
  assert.match((await start('--wait', 'everything')).output, /"everything" is invalid for --wait/);
});

test('every other command is accepted as printed, but not with a wrong flag', async ({
  minikube,
  environment,
  settings,
}) => {
  for (const line of await commands(environment, settings)) {
    const { exitCode, output } = await minikube(...line.split(' '));
    assert.ok(exitCode === 0 || exitCode === noProfile, `${line}: ${exitCode} ${output}`);
    const wrong = await minikube(...line.split(' '), '--no-such-flag');
    assert.is(wrong.exitCode, usage, line);
  }
});

test('minikube has the addons of the settings', async ({ minikube, settings }) => {
  const { output } = await minikube('addons', 'list', '-o', 'json');
  const known = Object.keys(JSON.parse(output));
  // the last one is for the ingress controller nginx
  for (const addon of [...settings.cluster.addons, 'ingress']) assert.ok(known.includes(addon), addon);
});

test('without a Docker engine nothing is created, and nothing counts as removed', async ({
  environment,
  settings,
}) => {
  const context = taskContext({ env: 'development', provider: 'minikube' });
  const { DOCKER_HOST } = process.env;
  process.env.DOCKER_HOST = 'unix:///nowhere.sock';
  try {
    for (const attempt of [
      () => provider.create({ ...context, environment, settings }),
      () => provider.destroy({ ...context, environment }),
    ]) {
      const error = await failureOf(attempt());
      assert.is(error.what, 'Docker does not answer');
      assert.match(error.why ?? '', /nowhere\.sock/);
    }
  } finally {
    process.env.DOCKER_HOST = DOCKER_HOST;
  }
  assert.is(await provider.phase({ ...context, environment }), 'absent');
});

test('a damaged profile differs from a missing one', async ({ folder, environment, settings }) => {
  const context = taskContext({ env: 'development', provider: 'minikube' });
  const profile = join(folder, '.minikube', 'profiles', environment.clusterName);
  mkdirSync(profile, { recursive: true });
  writeFileSync(join(profile, 'config.json'), '{');
  assert.is(await provider.phase({ ...context, environment }), 'creating');
  const faults = await provider.faults?.({ ...context, environment });
  assert.match(
    faults?.join() ?? '',
    /cannot read its profile: HOST_CONFIG_LOAD: .*unexpected end of JSON input/,
  );
  assert.is(await provider.destroy({ ...context, environment }), 'changed');
  assert.not.ok(existsSync(profile));
  assert.match(
    (await failureOf(provider.start({ ...context, environment, settings }))).what,
    /is not created/,
  );
});

all.run();
