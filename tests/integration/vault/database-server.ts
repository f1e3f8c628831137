import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Login, withLogin } from '../../../lib/database/login.ts';
import { setUpDatabases } from '../../../lib/database/set-up.ts';
import { root } from '../../../lib/ground/project.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { realPostgresql } from '../verification/real-postgresql.ts';

type Rows = readonly { readonly [column: string]: unknown }[];

export type DatabaseServer = {
  readonly address: string;
  /** PEM, and its file: the CA of the server's certificate. */
  readonly authority: string;
  readonly authorityFile: string;
  /** One statement as the superuser, over a new connection. */
  readonly run: (sql: string) => Promise<Rows>;
  /** One statement as another user, in the database `app1`. Rejects with the server's error. */
  readonly ask: (user: string, password: string, sql: string) => Promise<Rows>;
  /** The server's log so far. */
  readonly log: () => string;
  readonly remove: () => Promise<void>;
};

/**
 * A real PostgreSQL as the chart sets it up: TLS only, with the database `app1`, its owner, and the role by which Vault logs in.
 * It logs every statement.
 */
export async function databaseServer(vaultPassword: string): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'vault-database-'));
  const { certificate, key, authority } = await makeCertificate(folder, 'server', [
    'DNS:localhost',
    'IP:127.0.0.1',
  ]);
  const superuser = { user: 'postgres', password: 'password-of-the-superuser', database: 'postgres' };
  const server = await realPostgresql(superuser.user, superuser.password, {
    ...{ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, log_statement: 'all' },
    hba_file: join(root, 'charts', 'postgresql', 'files', 'server', 'pg_hba.conf'),
  });
  const identity = { authority, name: 'localhost' };
  const login: Login = { host: '127.0.0.1', port: server.port, identity, ...superuser };
  const applications = { app1: { password: '' } };
  await setUpDatabases(
    login,
    JSON.stringify({ applications, issuers: { vault: { password: vaultPassword } } }),
  );
  return {
    address: server.address,
    authority,
    authorityFile: certificate,
    run: (sql) => withLogin(login, (query) => query(sql)),
    ask: (user, password, sql) =>
      withLogin({ ...login, user, password, database: 'app1' }, (query) => query(sql)),
    log: server.log,
    remove: async () => {
      await server.remove();
      await rm(folder, { recursive: true });
    },
  };
}
