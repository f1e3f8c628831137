/** By what a server is known. */
export type ServerIdentity = {
  /** PEM of the authority that signed its certificate. */
  readonly authority: string;
  /** The name that has to be in the certificate, whatever address leads there. */
  readonly name: string;
};

/** Where and as whom to log in. */
export type Login = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Left out only in tests: without it nothing is encrypted. */
  readonly identity?: ServerIdentity;
  /** Milliseconds for the connection, and again for each statement; 10 s unless told. */
  readonly timeoutMs?: number;
};

export type Query = (
  sql: string,
  values?: readonly string[],
) => Promise<readonly { readonly [column: string]: unknown }[]>;

/** Calls `use` with a connection to PostgreSQL. Rejects with the server's refusal (an SQLSTATE in `code`) or the network's. */
export async function withLogin<Result>(
  { identity, timeoutMs = 10_000, ...login }: Login,
  use: (query: Query) => Promise<Result>,
): Promise<Result> {
  const { Client } = await import('pg').then((module) => module.default);
  const client = new Client({
    ...login,
    ...(identity && { ssl: { ca: identity.authority, servername: identity.name } }),
    application_name: 'k8s-deployment',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // A connection that breaks also rejects the call that waits on it; without a listener it would end the run.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(async (sql, values = []) => (await client.query(sql, [...values])).rows);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** SQLSTATE `invalid_password` and `invalid_authorization_specification`: the server is there and does not want this login. */
export const isRefusedLogin = (error: unknown): boolean =>
  ['28P01', '28000'].includes(String((error as { readonly code?: unknown } | undefined)?.code));

/** Whether the password is the one that the server has. Rejects when the server cannot be asked. */
export async function acceptsLogin(login: Login): Promise<boolean> {
  try {
    await withLogin(login, (query) => query('SELECT 1'));
    return true;
  } catch (error) {
    if (isRefusedLogin(error)) return false;
    throw error;
  }
}
