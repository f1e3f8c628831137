import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { findAccount, type Program } from '../../../lib/cluster/embedded/database.ts';
import { type Login, withLogin } from '../../../lib/database/login.ts';
import { poll } from '../../../lib/ground/poll.ts';
import { root } from '../../../lib/ground/project.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { taskContext } from '../../rig/task-context.ts';

/**
 * A real PostgreSQL on a free loopback port that requires a password. Needs its programs on PATH. `further` are
 * settings of the server.
 */
export async function realPostgresql(
  user: string,
  password: string,
  further: { readonly [setting: string]: string } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'real-postgresql-'));
  const start = async (program: Program, words: readonly string[]): Promise<ChildProcess> => {
    const { words: account } = await findAccount(program, taskContext({}).$);
    const [first = '', ...rest] = [...account, program, '-D', join(folder, 'data'), ...words];
    return spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  };
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password);
  const words = ['-U', user, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync'];
  const { exitCode, stderr } = await ended(await start('initdb', words));
  assert.is(exitCode, 0, stderr);

  const port = await freePort();
  const own = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off' };
  const settings = Object.entries({ ...own, ...further }).map(([name, value]) => `--${name}=${value}`);
  const server = await start('postgres', settings);
  process.once('exit', () => server.kill('SIGKILL'));
  let log = '';
  for (const stream of [server.stdout, server.stderr])
    stream?.on('data', (chunk) => {
      log += chunk;
    });
  const ready = 'database system is ready to accept connections';
  assert.ok(await poll(async () => log.includes(ready) || undefined, 120_000), log);

  return {
    address: `127.0.0.1:${port}`,
    port,
    log: () => log,
    remove: async () => {
      // "Fast" does not wait for clients.
      server.kill('SIGINT');
      await once(server, 'exit');
      await rm(folder, { recursive: true });
    },
  };
}

export type DatabaseServer = Awaited<ReturnType<typeof databaseServer>>;

/** A real PostgreSQL as the chart starts it, with TLS only. `name` is in its certificate. */
export async function databaseServer(name: string, settings: Readonly<Record<string, string>> = {}) {
  const hosts = [`DNS:${name}`, 'IP:127.0.0.1'];
  const { certificate, key, authority } = await makeCertificate(temporaryFolder(), 'server', hosts);
  const superuser = { user: 'postgres', password: 'password-of-the-superuser', database: 'postgres' };
  const { port, log, remove } = await realPostgresql(superuser.user, superuser.password, {
    ...{ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, ...settings },
    hba_file: join(root, 'charts', 'postgresql', 'files', 'server', 'pg_hba.conf'),
  });
  const login: Login = { host: '127.0.0.1', port, identity: { authority, name }, ...superuser };
  const ask = (sql: string, as: Partial<Login> = {}) => withLogin({ ...login, ...as }, (query) => query(sql));
  return {
    ...{ login, log },
    /** PEM, and its file: the CA of the server's certificate. */
    ...{ authority, authorityFile: certificate },
    /** One statement over a new connection, as the superuser or somebody else. Rejects with the server's error. */
    ask,
    /** A session that runs until the server ends it, with the reason. */
    session: async (as: Partial<Login> & { readonly user: string }) => {
      const end = ask('SELECT pg_sleep(600)', as).then(() => 'by itself', String);
      const found = `SELECT FROM pg_stat_activity WHERE usename = '${as.user}' AND query ~ 'pg_sleep'`;
      assert.ok(await poll(async () => (await ask(found))[0], 60_000));
      return { end };
    },
    remove,
  };
}
