import { execFile, spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, ended } from '../../../lib/runner/tests/rig/ended.ts';
import { makeSandbox, type Sandbox } from '../sandbox.ts';

/*
 * The embedded cluster on unusual machines: on each, the part that it affects. A command prefix creates the machine; it
 * is skipped where this machine does not allow it.
 */

const machines = suite<{ sandbox: Sandbox }>('machines');
const here = 'tests/integration/machines';
const asRoot = process.getuid?.() === 0;

machines.before(async (state) => {
  state.sandbox = await makeSandbox();
});

machines.after.each(async ({ sandbox }) => {
  await sandbox.task('destroy-environment', '--yes');
});

machines.after(async ({ sandbox }) => {
  await sandbox.remove();
});

/** Why this machine does not allow the prefix; undefined if it does. */
async function whyLeftOut(words: readonly string[]): Promise<string | undefined> {
  const [program = '', ...args] = words;
  try {
    await promisify(execFile)(program, [...args, 'true']);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Starts a part of the cluster on a machine. */
function startPart(
  { folder }: Sandbox,
  words: readonly string[],
  part: string,
  env: NodeJS.ProcessEnv,
): Promise<Ended> {
  const [program = '', ...args] = words;
  const launch = [...args, process.execPath, '--import', 'tsx', `${here}/start-part.ts`, part];
  return ended(spawn(program, launch, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

type Machine = {
  readonly name: string;
  readonly words: readonly string[];
  readonly part: 'database' | 'kubernetes';
  readonly env?: (env: NodeJS.ProcessEnv) => NodeJS.ProcessEnv;
  /** Checks the result. */
  readonly check?: (sandbox: Sandbox) => Promise<void>;
};

const list: readonly Machine[] = [
  {
    name: 'root of a container that refuses user namespaces: the database runs as another user',
    words: ['perl', `${here}/refuse-namespaces.pl`],
    part: 'database',
    check: async (sandbox) => {
      assert.is.not((await stat(sandbox.path('.state/development/postgresql/data'))).uid, 0);
    },
  },
  {
    name: 'a user id without account and home: the database is created',
    words: ['unshare', '--user', '--map-user=12345', '--map-group=12345'],
    part: 'database',
    // Also with variables that end each bash before its first command and name missing folders.
    env: ({ HOME: _, ...env }) => ({ ...env, BASH_ENV: `${here}/leave.sh`, TMPDIR: 'nowhere' }),
  },
  {
    name: 'a network with nothing but loopback: the API server starts',
    words: [
      'unshare',
      '--user',
      '--map-root-user',
      '--net',
      'sh',
      '-c',
      'ip link set lo up && exec "$@"',
      '-',
    ],
    part: 'kubernetes',
  },
];

for (const { name, words, part, env = (same: NodeJS.ProcessEnv) => same, check } of list) {
  machines(name, async ({ sandbox }) => {
    const reason = words[0] === 'perl' && !asRoot ? 'only root can try that' : await whyLeftOut(words);
    if (reason !== undefined) {
      process.stdout.write(`left out: ${name} (${reason})\n`);
      return;
    }
    const { exitCode, stdout, stderr } = await startPart(sandbox, words, part, env(sandbox.env));
    assert.is(exitCode, 0, stdout + stderr);
    await check?.(sandbox);
  });
}

machines.run();
