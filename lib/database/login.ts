import type { Client, ClientConfig } from 'pg';
import type { ServerIdentity } from '../certificates/server.ts';

export type Login = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Omitted only in tests, which connect without TLS. */
  readonly identity?: ServerIdentity;
  /** Milliseconds for the connection and for each statement. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Settings of the session as libpq's `options`. */
  readonly options?: string;
};

export type Query = (
  sql: string,
  values?: readonly string[],
) => Promise<readonly { readonly [column: string]: unknown }[]>;

/**
 * Calls `use` with a connection to PostgreSQL. Rejects with the server's error (SQLSTATE in `code`) or the network's.
 */
export const withLogin = <Result>(
  { identity, timeoutMs = 10_000, ...login }: Login,
  use: (query: Query) => Promise<Result>,
): Promise<Result> =>
  connect(
    {
      ...login,
      ...(identity && { ssl: { ca: identity.authority, servername: identity.name } }),
      application_name: 'k8s-deployment',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    },
    (client) => use(async (sql, values = []) => (await client.query(sql, [...values])).rows),
  );

/**
 * A superuser's settings in the database of an application. They override those of its owner (`ALTER DATABASE … SET`),
 * such as another role, read-only, or a search path on which functions of its own stand before PostgreSQL's.
 */
export const superuserOptions =
  '-csearch_path=pg_catalog -crole=none -cdefault_transaction_read_only=off -clocal_preload_libraries= -cidle_session_timeout=0';

/** Keeps statements, and the passwords in them, out of the server's log, even if they fail. */
const unlogged =
  '-clog_statement=none -clog_min_duration_statement=-1 -clog_transaction_sample_rate=0 -clog_min_error_statement=panic -clog_parameter_max_length_on_error=0';

/** As `withLogin`, for a superuser in any database. */
export const withSuperuser: typeof withLogin = (login, use) =>
  withLogin({ ...login, options: `${superuserOptions} ${unlogged}` }, use);

/**
 * True if a PostgreSQL server asks for a password over TLS within `timeoutMs`. It never gets one, so its identity is
 * not verified. Never rejects.
 */
export async function isPostgresqlReady(host: string, port: number, timeoutMs = 2000): Promise<boolean> {
  let isAsked = false;
  const password = () => {
    isAsked = true;
    return '';
  };
  const login = { host, port, user: 'postgres', password, ssl: { rejectUnauthorized: false } };
  await connect({ ...login, connectionTimeoutMillis: timeoutMs }, async () => {}).catch(() => {});
  return isAsked;
}

async function connect<Result>(config: ClientConfig, use: (client: Client) => Promise<Result>) {
  const { default: pg } = await import('pg');
  const client = new pg.Client(config);
  // A broken connection also rejects the pending call; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** True for SQLSTATE `invalid_password` and `invalid_authorization_specification`: the server refused the login. */
export const isRefusedLogin = (error: unknown): boolean => ['28P01', '28000'].includes(Object(error).code);

/** True if the server rejected a statement, which therefore has no effect. */
export const isRefusedStatement = (error: unknown): boolean => Object(error).severity === 'ERROR';

/**
 * True if the connection was lost. kubectl ends a port-forward ("lost connection to pod") if either side resets one of
 * its connections, as at the end of a TLS session.
 */
export const isLostConnection = (error: unknown): boolean => {
  const { code, message } = Object(error);
  const isReset = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(code);
  return isReset || /^Connection terminated|socket disconnected/.test(message);
};

/** True if the server accepts the password. Rejects if it does not answer. */
export const acceptsLogin = (login: Login): Promise<boolean> =>
  withLogin(login, (query) => query('SELECT 1')).then(
    () => true,
    (error) => !isRefusedLogin(error) && Promise.reject(error),
  );
