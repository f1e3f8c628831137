import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../../lib/runner/tests/rig/ended.ts';
import { PseudoTerminal } from '../../../lib/runner/tests/rig/pseudo-terminal.ts';
import { Screen } from '../../../lib/runner/tests/rig/screen.ts';
import { assertRefused, makeSandbox } from '../sandbox.ts';

/*
 * Mistakes on the command line, and unusual machines: on each, the part that it affects. A command prefix creates the
 * machine; it is skipped where this machine does not allow it.
 */

const machines = suite('mistakes and machines');
const sandbox = await makeSandbox();
machines.after.each(async () => {
  await sandbox.task('destroy-environment', '--yes');
});
sandbox.removeAfter(machines);

const here = 'tests/integration/machines';
const apart = ['unshare', '--user', '--map-root-user'];

/** Runs a command in the sandbox, behind the prefix that makes the machine. Undefined where that is not allowed. */
async function on(prefix: readonly string[], command: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const run = (words: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> =>
    ended(spawn(prefix[0] ?? '', [...prefix.slice(1), ...words], { cwd: sandbox.folder, env }));
  const { exitCode, stderr } = await run(['true'], sandbox.env);
  if (exitCode === 0) return run(command, { ...sandbox.env, ...more });
  process.stdout.write(`left out: ${prefix.join(' ')} (${stderr})\n`);
  return undefined;
}

async function starts(part: string, prefix: readonly string[], more?: NodeJS.ProcessEnv): Promise<boolean> {
  const command = [process.execPath, '--import', 'tsx', `${here}/start-part.ts`, part];
  const started = await on(prefix, command, more);
  assert.is(started?.exitCode ?? 0, 0, `${started?.stdout}${started?.stderr}`);
  return started !== undefined;
}

machines('root of a container that refuses user namespaces: the database runs as another user', async () => {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && (await starts('database', ['perl', `${here}/refuse-namespaces.pl`])))
    assert.is.not((await stat(sandbox.path('.state/development/postgresql/data'))).uid, 0);
});

machines('a user id without account and home: the database is created', async () => {
  // Also with variables that end each bash before its first command and name missing folders.
  await writeFile(sandbox.path('leave.sh'), 'exit 9\n');
  const odd = { HOME: undefined, BASH_ENV: sandbox.path('leave.sh'), TMPDIR: 'nowhere' };
  await starts('database', ['unshare', '--user', '--map-user=12345', '--map-group=12345'], odd);
});

machines('a network with nothing but loopback: the API server starts', async () => {
  const up = ['sh', '-c', 'ip link set lo up && exec "$@"', '-'];
  await starts('kubernetes', [...apart, '--net', ...up]);
});

machines('a tool that is too old and could not be installed ends with 127 and says what to do', async () => {
  const bin = `${sandbox.home}/bin`;
  await mkdir(bin);
  await writeFile(`${bin}/helm`, '#!/bin/sh\necho v3.9.0\n', { mode: 0o755 });
  await symlink(process.execPath, `${bin}/node`);
  const failed = await on([...apart, '--net'], ['./run', 'install-tools', '--provider', 'embedded'], {
    ...{ PATH: `${bin}:/usr/bin:/bin`, XDG_CACHE_HOME: `${sandbox.home}/cache` },
    ...{ HTTPS_PROXY: undefined, https_proxy: undefined },
  });
  if (failed) assertRefused(failed, 127, /PATH: .*\n.*published release: .*unreachable: .*\n.*Go modules: /);
});

machines('a full disk is reported', async () => {
  const small = 'mkdir -p .state && mount -t tmpfs -o size=1m none .state && exec "$@"';
  const full = await on(
    [...apart, '--mount', 'sh', '-c', small, '-'],
    ['./run', 'create-k8s', '--provider', 'embedded'],
  );
  if (full) assertRefused(full, 1, /no space left for environment `development`\n {2}why: .* 0 MiB free/);
});

machines('what the project does not have, or never does, ends with 2', async () => {
  for (const [words, said] of [
    ['install-tier cores', /unknown tier `cores`\n.*core, apps/],
    ['install-app app3', /unknown app `app3`\n.*app1, app2/],
    ['update nope', /unknown part `nope`\n.*settings, tools/],
    ['status --provider docker', /unknown provider `docker`\n.*minikube, embedded, existing/],
    ['rollback nothing', /unknown release `nothing`/],
    ['rollback app1-back -1 --yes', /expected `\[revision\]` to be a whole number from 1 up, got `-1`/],
    [
      'test-ingress app1 --expect 9999',
      /expected `--expect` to be a whole number from 100 to 599, got `9999`/,
    ],
    ['destroy-k8s --provider existing --context nowhere --yes', /never destroyed by these tasks/],
  ] as const)
    await sandbox.refuses(words.split(' '), 2, said);
});

machines('status --watch shows a page on a terminal until Ctrl-C, which leaves the last one', async () => {
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

machines('read-only tasks work without a writable home', async () => {
  const { HOME } = sandbox.env;
  delete sandbox.env.HOME;
  await sandbox.succeeds('status');
  sandbox.env.HOME = '/proc';
  await sandbox.succeeds('status');
  sandbox.env.HOME = HOME;
});

machines('render needs neither cluster nor context, and another machine renders the same', async () => {
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

machines.run();
