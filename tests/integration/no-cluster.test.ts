import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ended } from '../../lib/runner/tests/rig/ended.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';

/* Mistakes on the command line, and machines that lack a tool, the network, space or a right. No cluster is created. */

const mistakes = suite('mistakes without a cluster');
let sandbox: Sandbox;

function assertError({ stderr, exitCode }: Ended, code: number, said: RegExp): void {
  assert.is(exitCode, code, stderr);
  assert.match(stderr, said);
  const error = stderr.slice(stderr.indexOf('error: ')).trimEnd().split('\n');
  assert.ok(error.length <= 12, stderr);
  assert.match(error[1] ?? '', /^ {2}(why|do): /);
  assert.not.match(stderr, /^ +at .*:\d+/m);
}

/** Runs a script as root of a new user namespace with its own mounts and network; false if that is not allowed. */
async function apart(flags: string, script: string): Promise<Ended | false> {
  const unshare = (command: string) =>
    promisify(execFile)('unshare', ['--user', '--map-root-user', ...flags.split(' '), 'sh', '-c', command], {
      cwd: sandbox.folder,
      env: sandbox.env,
      maxBuffer: 16 << 20,
    });
  if (!(await unshare('true').catch(() => false))) return false;
  return unshare(script).then(
    ({ stdout, stderr }) => ({ exitCode: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ exitCode: code, stdout, stderr }),
  );
}

mistakes.before(async () => {
  sandbox = await makeSandbox();
});

const onTheCommandLine: readonly [words: string, said: RegExp][] = [
  ['instal-app app1', /unknown task `instal-app`\n.*`install-app`/],
  [
    'status --env developmnt',
    /unknown environment `developmnt`\n.*`development`.*\n.*Did you mean `development`\?/,
  ],
  ['install-tier cores', /unknown tier `cores`\n.*core, apps/],
  ['install-app app3', /unknown app `app3`\n.*app1, app2/],
  ['status --provider docker', /unknown provider `docker`\n.*minikube, embedded, existing/],
  ['rollback nothing', /unknown release `nothing`/],
  ['install-tier', /missing argument `<tier>`\n.*\n {2}do: usage: .*install-tier <tier>/],
  ['install-app app1 app2', /unexpected argument `app2`/],
  ['status --frobnicate', /unknown option `--frobnicate`/],
  ['status --env', /option `--env` needs a value/],
  ['rollback devops abc', /expected `\[revision\]` to be a number, got `abc`/],
  ['test-ingress app1 --expect 9999', /expected `--expect` to be an HTTP status, got `9999`/],
  ['create-k8s -- extra', /unexpected argument `extra`/],
  ['destroy-environment', /asks first.*\n.*no terminal.*\n.*`--yes`/],
  ['create-k8s --provider existing', /needs a kube context\n.*\n {2}do: name it with --context/],
  ['create-k8s --provider existing --context nowhere', /unknown kube context `nowhere`/],
  [
    'install-app app1 --provider existing --context nowhere',
    /for a development key[\s\S]*--allow-development-keys/,
  ],
  ['edit-secrets', /an editor needs a terminal/],
  ['rotate-keys --yes --key-file sops/own.asc', /lies in the project/],
  ['destroy-k8s --provider existing --context nowhere --yes', /never destroyed by these tasks/],
];

for (const [words, said] of onTheCommandLine) {
  mistakes(`\`${words}\` ends with 2`, async () => {
    assertError(await sandbox.task(...words.split(' ')), 2, said);
  });
}

mistakes('an existing cluster that does not answer is reported', async () => {
  const kubeconfig = `${sandbox.home}/kubeconfig`;
  const cluster = 'clusters: [{ name: away, cluster: { server: "https://127.0.0.1:1" } }]';
  const context = 'contexts: [{ name: away, context: { cluster: away, user: away } }]';
  await writeFile(
    kubeconfig,
    `apiVersion: v1\nkind: Config\n${cluster}\n${context}\nusers: [{ name: away, user: { token: some } }]\n`,
  );
  sandbox.env.KUBECONFIG = kubeconfig;
  for (const words of [['create-k8s'], ['install-app', 'app1', '--allow-development-keys']]) {
    const ended = await sandbox.task(...words, '--provider', 'existing', '--context', 'away');
    assertError(ended, 1, /cluster of context `away` does not answer\n {2}why: .*refused/);
  }
  delete sandbox.env.KUBECONFIG;
});

mistakes(
  'a tool that is too old and could not be installed ends with 127 and says how to install it',
  async () => {
    const bin = `${sandbox.home}/bin`;
    await mkdir(bin);
    await writeFile(`${bin}/helm`, '#!/bin/sh\necho v3.9.0\n', { mode: 0o755 });
    await symlink(process.execPath, `${bin}/node`);
    const offline = { PATH: `${bin}:/usr/bin:/bin`, XDG_CACHE_HOME: `${sandbox.home}/cache` };
    const exports = Object.entries(offline).map(([name, value]) => `${name}='${value}'`);
    const ended = await apart(
      '--net',
      `unset HTTPS_PROXY https_proxy; export ${exports.join(' ')}; ./run install-tools --provider embedded`,
    );
    if (ended === false) return;
    assertError(ended, 127, /PATH: .*\n.*published release: .*unreachable: .*\n.*Go modules: /);
    const helm = await apart(
      '--net',
      `export ${exports.join(' ')}; ./run init-helmfile --provider embedded --jobs 1`,
    );
    if (helm) assertError(helm, 127, /helm 3\.9\.0 at .* is too old/);
  },
);

mistakes('a full disk or a read-only folder is reported', async () => {
  const small = (folder: string, options: string) =>
    `mkdir -p ${folder} && mount -t tmpfs -o ${options} none ${folder}`;
  const full = await apart(
    '--mount',
    `${small('.state', 'size=1m')} && ./run create-k8s --provider embedded`,
  );
  if (full === false) return;
  assertError(full, 1, /no space left for environment `development`\n {2}why: .* 0 MiB free/);
  const readOnly = await apart('--mount', `${small('.state', 'ro')} && ./run create-k8s --provider embedded`);
  if (readOnly) assertError(readOnly, 1, /cannot write the lock .*\n {2}why: /);
  const bin = `${sandbox.home}/go-bin`;
  await mkdir(bin);
  await writeFile(`${bin}/go`, '#!/bin/sh\necho go version go1.26.0 linux/amd64\n', { mode: 0o755 });
  const path = `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`;
  const cache = `export XDG_CACHE_HOME=${sandbox.home}/full PATH=${path}`;
  const tools = await apart(
    '--mount',
    `${cache}; ${small('$XDG_CACHE_HOME', 'ro')} && ./run install-tools --provider embedded`,
  );
  if (tools) assertError(tools, 1, /cannot write to the tool cache .*\n {2}why: /);
});

mistakes('read-only tasks work without a writable home', async () => {
  const { HOME } = sandbox.env;
  for (const home of [undefined, '/proc']) {
    if (home === undefined) delete sandbox.env.HOME;
    else sandbox.env.HOME = home;
    const { exitCode, stderr } = await sandbox.task('status');
    assert.is(exitCode, 0, stderr);
  }
  sandbox.env.HOME = HOME;
});

mistakes.after(async () => {
  await sandbox?.remove();
});

mistakes.run();
