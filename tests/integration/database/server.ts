import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Login, withLogin } from '../../../lib/database/login.ts';
import { root } from '../../../lib/ground/project.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { realPostgresql } from '../verification/real-postgresql.ts';

export type DatabaseServer = {
  /** The superuser's. */
  readonly login: Login;
  /** PEM, and its file: the CA of the server's certificate. */
  readonly authority: string;
  readonly authorityFile: string;
  /** One statement over a new connection, as the superuser or somebody else. Rejects with the server's error. */
  readonly ask: (
    sql: string,
    as?: Partial<Login>,
  ) => Promise<readonly { readonly [column: string]: unknown }[]>;
  /** The server's log so far. */
  readonly log: () => string;
  readonly remove: () => Promise<void>;
};

/** A real PostgreSQL as the chart starts it, with TLS only. `name` is in its certificate. */
export async function databaseServer(
  name: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'database-'));
  const hosts = [`DNS:${name}`, 'IP:127.0.0.1'];
  const { certificate, key, authority } = await makeCertificate(folder, 'server', hosts);
  const superuser = { user: 'postgres', password: 'password-of-the-superuser', database: 'postgres' };
  const server = await realPostgresql(superuser.user, superuser.password, {
    ...{ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, ...settings },
    hba_file: join(root, 'charts', 'postgresql', 'files', 'server', 'pg_hba.conf'),
  });
  const login = { host: '127.0.0.1', port: server.port, identity: { authority, name }, ...superuser };
  return {
    ...{ login, authority, authorityFile: certificate, log: server.log },
    ask: (sql, as = {}) => withLogin({ ...login, ...as }, (query) => query(sql)),
    remove: async () => {
      await server.remove();
      await rm(folder, { recursive: true });
    },
  };
}
