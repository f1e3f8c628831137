import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../../lib/runner/tests/rig/ended.ts';
import { makeSandbox } from '../sandbox.ts';

/*
 * The embedded cluster on unusual machines: on each, the part that it affects. A command prefix creates the machine; it
 * is skipped where this machine does not allow it.
 */

const machines = suite('machines');
const sandbox = await makeSandbox();
machines.after.each(async () => {
  await sandbox.task('destroy-environment', '--yes');
});
sandbox.removeAfter(machines);

const here = 'tests/integration/machines';

/** Runs a program in the sandbox, behind the prefix that makes the machine. */
function on([program = '', ...args]: readonly string[], env = sandbox.env): Promise<Ended> {
  return ended(spawn(program, args, { cwd: sandbox.folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

for (const { name, words, part, onlyRoot, env, check } of [
  {
    name: 'root of a container that refuses user namespaces: the database runs as another user',
    words: ['perl', `${here}/refuse-namespaces.pl`],
    part: 'database',
    onlyRoot: true,
    check: async () => {
      assert.is.not((await stat(sandbox.path('.state/development/postgresql/data'))).uid, 0);
    },
  },
  {
    name: 'a user id without account and home: the database is created',
    words: ['unshare', '--user', '--map-user=12345', '--map-group=12345'],
    part: 'database',
    // Also with variables that end each bash before its first command and name missing folders.
    env: { HOME: undefined, BASH_ENV: `${here}/leave.sh`, TMPDIR: 'nowhere' },
  },
  {
    name: 'a network with nothing but loopback: the API server starts',
    words: [
      ...['unshare', '--user', '--map-root-user', '--net'],
      ...['sh', '-c', 'ip link set lo up && exec "$@"', '-'],
    ],
    part: 'kubernetes',
  },
] as {
  readonly name: string;
  readonly words: readonly string[];
  readonly part: string;
  readonly onlyRoot?: true;
  readonly env?: NodeJS.ProcessEnv;
  readonly check?: () => Promise<void>;
}[])
  machines(name, async () => {
    const { exitCode: allowed, stderr: reason } =
      onlyRoot && process.getuid?.() !== 0
        ? { exitCode: 1, stderr: 'only root can try that' }
        : await on([...words, 'true']);
    if (allowed !== 0) {
      process.stdout.write(`left out: ${name} (${reason})\n`);
      return;
    }
    const start = [process.execPath, '--import', 'tsx', `${here}/start-part.ts`, part];
    const { exitCode, stdout, stderr } = await on([...words, ...start], { ...sandbox.env, ...env });
    assert.is(exitCode, 0, stdout + stderr);
    await check?.();
  });

machines.run();
