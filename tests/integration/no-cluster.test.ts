import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';
import { PseudoTerminal } from '../../lib/runner/tests/rig/pseudo-terminal.ts';
import { Screen } from '../../lib/runner/tests/rig/screen.ts';
import { assertRefused, makeSandbox } from './sandbox.ts';

/* Mistakes on the command line, and machines that lack a tool, the network, space or a right. No cluster is created. */

const mistakes = suite('mistakes without a cluster');
const sandbox = await makeSandbox();

/** Runs a script as root of a new user namespace with its own mounts and network; false if that is not allowed. */
async function apart(flag: string, script: string): Promise<Ended | false> {
  const unshare = (command: string) => {
    const words = ['--user', '--map-root-user', flag, 'sh', '-c', command];
    return ended(spawn('unshare', words, { cwd: sandbox.folder, env: sandbox.env }));
  };
  const { exitCode } = await unshare('true');
  return exitCode === 0 && unshare(script);
}

mistakes('what the project does not have, or never does, ends with 2', async () => {
  for (const [words, said] of [
    ['install-tier cores', /unknown tier `cores`\n.*core, apps/],
    ['install-app app3', /unknown app `app3`\n.*app1, app2/],
    ['update nope', /unknown part `nope`\n.*settings, tools/],
    ['status --provider docker', /unknown provider `docker`\n.*minikube, embedded, existing/],
    ['rollback nothing', /unknown release `nothing`/],
    ['test-ingress app1 --expect 9999', /expected `--expect` to be an HTTP status, got `9999`/],
    ['destroy-k8s --provider existing --context nowhere --yes', /never destroyed by these tasks/],
  ] as const)
    await sandbox.refuses(words.split(' '), 2, said);
});

mistakes('status --watch shows a page on a terminal until Ctrl-C, which leaves the last one', async () => {
  const terminal = new PseudoTerminal('./run status --watch --provider embedded', {
    cwd: sandbox.folder,
    env: sandbox.env,
  });
  await terminal.shows(/cluster +absent[\s\S]+again every 3 s until Ctrl-C/);
  terminal.type('\x03');
  assert.is(await terminal.exit, 130);
  const screen = new Screen(80, 24);
  screen.write(terminal.raw);
  const left = /^stopping on SIGINT; .*\nenvironment [\s\S]*absent[\s\S]*Ctrl-C\ninterrupted after \S+: .*$/;
  assert.match(screen.lines.filter((line) => line !== '').join('\n'), left);
  assert.is(screen.cursor.column, 0);
});

mistakes('a tool that is too old and could not be installed ends with 127 and says what to do', async () => {
  const bin = `${sandbox.home}/bin`;
  await mkdir(bin);
  await writeFile(`${bin}/helm`, '#!/bin/sh\necho v3.9.0\n', { mode: 0o755 });
  await symlink(process.execPath, `${bin}/node`);
  const offline = `PATH='${bin}:/usr/bin:/bin' XDG_CACHE_HOME='${sandbox.home}/cache'`;
  const install = './run install-tools --provider embedded';
  const failed = await apart('--net', `unset HTTPS_PROXY https_proxy; export ${offline}; ${install}`);
  if (failed) assertRefused(failed, 127, /PATH: .*\n.*published release: .*unreachable: .*\n.*Go modules: /);
});

mistakes('a full disk is reported', async () => {
  const small = 'mkdir -p .state && mount -t tmpfs -o size=1m none .state';
  const full = await apart('--mount', `${small} && ./run create-k8s --provider embedded`);
  if (full) assertRefused(full, 1, /no space left for environment `development`\n {2}why: .* 0 MiB free/);
});

mistakes('read-only tasks work without a writable home', async () => {
  const { HOME } = sandbox.env;
  delete sandbox.env.HOME;
  await sandbox.succeeds('status');
  sandbox.env.HOME = '/proc';
  await sandbox.succeeds('status');
  sandbox.env.HOME = HOME;
});

mistakes('render needs neither cluster nor context, and another machine renders the same', async () => {
  const folder = sandbox.path('manifests');
  const render = () => sandbox.succeeds('render', '--env', 'lab', '--output', folder);
  const embedded = await sandbox.task('render', '--provider', 'embedded', '--output', folder);
  assert.is(embedded.exitCode, 1, embedded.stderr);
  assert.match(embedded.stderr, /is not created\n.* the addresses of its servers\n.*create-k8s/);
  await sandbox.refuses(['install-app', 'app1', '--provider', 'embedded'], 1, /is not created/);
  assert.not(existsSync(sandbox.path('.state', 'development')), 'nothing was done before');
  assert.match((await render()).stderr, /render .* changed/);
  // Another machine has what was committed, and no state.
  await rm(sandbox.path('.state'), { recursive: true });
  assert.match((await render()).stderr, /render .* unchanged/);
});

sandbox.removeAfter(mistakes);

mistakes.run();
