import { Client } from 'pg';
import { type RealPostgresql, realPostgresql } from '../verification/real-postgresql.ts';

export type DatabaseServer = RealPostgresql & {
  readonly run: (sql: string) => Promise<Record<string, unknown>[]>;
};

/** A real PostgreSQL with the database `app1`, its owner, and the role by which Vault logs in. */
export async function databaseServer(vaultPassword: string): Promise<DatabaseServer> {
  const password = 'password-of-the-superuser';
  const server = await realPostgresql('postgres', password);
  const run = (sql: string) => query({ port: server.port, user: 'postgres', password, sql });
  for (const statement of [
    'CREATE ROLE app1 NOLOGIN',
    `CREATE ROLE vault LOGIN CREATEROLE PASSWORD '${vaultPassword}'`,
    'GRANT app1 TO vault WITH ADMIN OPTION',
    'CREATE DATABASE app1 OWNER app1',
    'REVOKE CONNECT, TEMPORARY ON DATABASE app1 FROM PUBLIC',
  ])
    await run(statement);
  return { ...server, run };
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
