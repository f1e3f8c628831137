import { Client } from 'pg';
import { makeCertificate } from '../../rig/certificate.ts';
import { type RealPostgresql, realPostgresql } from '../verification/real-postgresql.ts';

export type DatabaseServer = RealPostgresql & {
  /** PEM of the authority that signed the server's certificate. */
  readonly authority: string;
  readonly run: (sql: string) => Promise<Record<string, unknown>[]>;
};

/** A real PostgreSQL with TLS, with the database `app1`, its owner, and the role by which Vault logs in. `folder` is for its certificate. */
export async function databaseServer(vaultPassword: string, folder: string): Promise<DatabaseServer> {
  const password = 'password-of-the-superuser';
  const { certificate, key, authority } = await makeCertificate(folder, 'postgresql', ['IP:127.0.0.1']);
  const tls = { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key };
  const server = await realPostgresql('postgres', password, tls);
  const run = (sql: string) => query({ port: server.port, user: 'postgres', password, sql });
  for (const statement of [
    'CREATE ROLE app1 NOLOGIN',
    `CREATE ROLE vault LOGIN CREATEROLE PASSWORD '${vaultPassword}'`,
    'GRANT app1 TO vault WITH ADMIN OPTION',
    'CREATE DATABASE app1 OWNER app1',
    'REVOKE CONNECT, TEMPORARY ON DATABASE app1 FROM PUBLIC',
  ])
    await run(statement);
  return { ...server, authority, run };
}

type Query = { port: number; user: string; password: string; database?: string; sql: string };

/** The rows of one statement, over a connection of its own. Rejects with the server's refusal. */
export async function query({
  sql,
  database = 'postgres',
  ...login
}: Query): Promise<Record<string, unknown>[]> {
  const client = new Client({ host: '127.0.0.1', database, ...login });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
