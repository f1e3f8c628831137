import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findAccount, type Program } from '../../../lib/cluster/embedded/account.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { taskContext } from '../../rig/task-context.ts';

export type RealPostgresql = {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly port: number;
  /** The server's log so far. */
  readonly log: () => string;
  readonly remove: () => Promise<void>;
};

/**
 * A real PostgreSQL on a free loopback port that requires a password. Needs its programs on PATH. `further` are
 * settings of the server.
 */
export async function realPostgresql(
  user: string,
  password: string,
  further: { readonly [setting: string]: string } = {},
): Promise<RealPostgresql> {
  const folder = await mkdtemp(join(tmpdir(), 'real-postgresql-'));
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password);
  const data = join(folder, 'data');
  await run('initdb', [
    '-D',
    data,
    '-U',
    user,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--no-sync',
  ]);

  const port = await freePort();
  const settings = {
    ...{ listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off' },
    ...further,
  };
  const server = await start('postgres', [
    '-D',
    data,
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
  ]);
  process.once('exit', () => server.child.kill('SIGKILL'));
  await server.said('database system is ready to accept connections');

  return {
    address: `127.0.0.1:${port}`,
    port,
    log: server.output,
    remove: async () => {
      const ended = once(server.child, 'exit');
      // "Fast" does not wait for clients.
      server.child.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

async function run(program: Program, words: string[]): Promise<void> {
  const { child, output } = await start(program, words);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${output()}`);
}

async function start(program: Program, words: string[]) {
  const account = await findAccount(program, taskContext({}).$);
  const [first = program, ...rest] = [...account.words, program, ...words];
  const child: ChildProcess = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const waiting: (() => void)[] = [];
  const wake = (chunk: Buffer | string) => {
    text += chunk;
    for (const check of waiting) check();
  };
  child.stdout?.on('data', wake);
  child.stderr?.on('data', wake);
  child.on('error', (error) => wake(`${first}: ${error.message}\n`));
  return {
    child,
    output: () => text,
    /** Resolves when the program has printed the text; rejects if it ends before. */
    said: (wanted: string) =>
      new Promise<void>((resolve, reject) => {
        waiting.push(() => {
          if (text.includes(wanted)) resolve();
        });
        child.on('close', (code) => reject(new Error(`${program} ended with ${code}: ${text}`)));
      }),
  };
}
