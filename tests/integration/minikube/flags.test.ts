import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/minikube/cluster.ts';
import { startArguments } from '../../../lib/cluster/minikube/start.ts';
import { root } from '../../../lib/ground/project.ts';
import { runFile } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { cacheFolder } from '../../../lib/tools/cache.ts';
import { findTool } from '../../../lib/tools/tools.ts';
import { environmentIn, fails, taskContext } from '../../rig/task-context.ts';

/*
 * The real minikube reads our flags. Docker may be missing, so no cluster is created: `start --dry-run` checks the
 * flags and their effect, the other commands are called for a profile that does not exist.
 */

/** minikube refuses its docker driver to root. */
const asUser =
  process.getuid?.() === 0 ? ['unshare', '--user', '--map-user=1000', '--map-group=1000'] : ['env'];
const run = ([program = '', ...words]: readonly string[]) => runFile(program, words, root);
const isRefused = (...words: string[]) =>
  run(words).then(
    ({ exitCode }) => exitCode !== 0,
    () => true,
  );

const tool = await findTool('minikube');
const reason = [
  !tool && 'no minikube on PATH or in the cache (./run install-tools --provider minikube gets it)',
  (await isRefused('docker', '--version')) && 'minikube asks Docker by its command line, which is not there',
  (await isRefused(...asUser, 'true')) && 'root cannot become another user here',
].find(Boolean);
if (reason) process.stdout.write(`left out: the flags of minikube, ${reason}\n`);

const all = suite('minikube flags');
const test: typeof all | typeof all.skip = reason ? all.skip : all;

const folder = temporaryFolder();
// The project of the environment: its settings decide the driver.
symlinkSync(join(root, 'environments'), join(folder, 'environments'));
const environment = environmentIn(folder, 'minikube');
const settings = await loadSettings({ name: 'development', provider: 'minikube', root });

/** What minikube asks a Docker engine before it checks its flags: a machine that is large enough. */
const answers: { readonly [path: string]: unknown } = {
  '/_ping': 'OK',
  '/info': { NCPU: 16, MemTotal: 64 * 2 ** 30, OSType: 'linux', SystemTime: '2026-01-01T00:00:00Z' },
  '/version': { Version: '27.3.0', ApiVersion: '1.47', Os: 'linux' },
  '/containers/json': [],
  '/networks': [],
  '/volumes': { Volumes: [] },
};
/** An engine without containers: enough for `minikube start --dry-run`. Nothing can be created. */
const engine = createServer((request, response) => {
  const path = (request.url ?? '').replace(/^\/v[\d.]+/, '').replace(/\?.*$/, '');
  const answer = answers[path];
  response.writeHead(answer === undefined ? 404 : 200, { 'api-version': '1.47', ostype: 'linux' });
  response.end(request.method === 'HEAD' ? '' : JSON.stringify(answer ?? { message: `no ${path} here` }));
});
const socket = join(folder, 'docker.sock');
await once(engine.listen(socket), 'listening');
all.after(() => void engine.close());
Object.assign(process.env, {
  DOCKER_HOST: `unix://${socket}`,
  // The tools keep their place.
  XDG_CACHE_HOME: dirname(cacheFolder()),
  ...{ HOME: folder, MINIKUBE_HOME: folder, KUBECONFIG: environment.kubeconfig },
  MINIKUBE_WANTUPDATENOTIFICATION: 'false',
});
const context = { ...taskContext({ env: 'development', provider: 'minikube' }), environment, settings };

async function minikube(...words: readonly string[]) {
  const { exitCode, stdout, stderr } = await run([...asUser, tool?.path ?? '', ...words]);
  return { exitCode, output: stdout + stderr };
}
const start = (...words: readonly string[]) =>
  minikube(...startArguments({ environment, settings }), '--dry-run', '--alsologtostderr', ...words);

async function commands(of = environment): Promise<readonly string[]> {
  const { create, stop, destroy } = provider.commands;
  const given = { environment: of, settings };
  const others = [...create(given), ...stop(given), ...(await destroy(given))].flatMap(
    (line) => /^KUBECONFIG=\S+ minikube (?!start )(.*)$/.exec(line)?.[1] ?? [],
  );
  const profile = `--profile ${of.clusterName}`;
  return [...others, `status ${profile} --output json`, `ip ${profile}`];
}

const usage = 14;
const noProfile = 85;

all('the commands checked here are those of the transcripts', async () => {
  const folder = join(root, 'tests/golden/minikube');
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const printed = texts.flatMap((text) =>
    [...text.matchAll(/(?:^KUBECONFIG=\S+ |\$\()minikube (.*?)(?:\)|$)/gm)].map(([, words = '']) => words),
  );
  const printing = { environment: { ...environment, clusterName: 'development-CLONE' }, settings };
  const checked = [
    startArguments(printing).join(' '),
    startArguments(printing, 'existing').join(' '),
    ...(await commands(printing.environment)),
  ];
  const status = 'status --profile development-CLONE --output json';
  assert.equal([...new Set([...printed, status])].sort(), checked.sort());
});

test('start accepts every flag and configures the cluster of the settings', async () => {
  const { exitCode, output } = await start();
  assert.is(exitCode, 0, output);
  assert.match(output, /dry-run validation complete/);
  const [, config = ''] = /cluster config:\n(.*)/.exec(output) ?? [];
  for (const part of [
    `Name:${environment.clusterName} `,
    ...['Memory:3072 ', 'CPUs:2 ', 'Driver:docker ', 'KubernetesVersion:v1.31.0 ', 'CNI:calico}'],
    'MultiNodeRequested:true ',
    'VerifyComponents:map[apiserver:true apps_running:true default_sa:true extra:true kubelet:true node_ready:true system_pods:true]',
  ]) {
    assert.ok(config.includes(part), `${part} is not in ${config}`);
  }
  assert.not.match(output, /is invalid for --wait/);
});

test('the same check complains of a wrong value', async () => {
  for (const [words, complaint] of [
    ['--no-such-flag', /unknown flag/],
    ['--driver dockr', /driver 'dockr' is not supported/],
    ['--kubernetes-version v9.9.9', /not supported/],
    ['--cni calicoo', /calicoo: no such file/],
    ['--wait everything', /"everything" is invalid for --wait/],
  ] as const)
    assert.match((await start(...words.split(' '))).output, complaint);
});

test('every other command is accepted as printed, but not with a wrong flag', async () => {
  for (const line of await commands()) {
    const { exitCode, output } = await minikube(...line.split(' '));
    assert.ok(exitCode === 0 || exitCode === noProfile, `${line}: ${exitCode} ${output}`);
    const wrong = await minikube(...line.split(' '), '--no-such-flag');
    assert.is(wrong.exitCode, usage, line);
  }
});

test('minikube has the addons of the settings', async () => {
  const { output } = await minikube('addons', 'list', '-o', 'json');
  const known = Object.keys(JSON.parse(output));
  // the last one is for the ingress controller nginx
  for (const addon of [...settings.cluster.addons, 'ingress']) assert.ok(known.includes(addon), addon);
});

test('without a Docker engine nothing is created, and nothing counts as removed', async () => {
  process.env.DOCKER_HOST = 'unix:///nowhere.sock';
  for (const attempt of [() => provider.create(context), () => provider.destroy(context)])
    await fails(attempt(), { what: 'Docker does not answer', why: /nowhere\.sock/ });
  process.env.DOCKER_HOST = `unix://${socket}`;
  assert.is((await provider.state(context)).phase, 'absent');
});

test('a damaged profile differs from a missing one', async () => {
  const profile = join(folder, '.minikube', 'profiles', environment.clusterName);
  mkdirSync(profile, { recursive: true });
  writeFileSync(join(profile, 'config.json'), '{');
  assert.is((await provider.state(context)).phase, 'creating');
  const said = /cannot read its profile: HOST_CONFIG_LOAD: .*unexpected end of JSON input/;
  assert.match((await provider.state(context)).faults?.join() ?? '', said);
  assert.is(await provider.destroy(context), 'changed');
  assert.not.ok(existsSync(profile));
  await fails(provider.start(context), { what: /is not created/ });
});

all.run();
