import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { forwarded } from '../forwarded.ts';
import { sandbox, state } from './shared.ts';

/** Logs in with the parameters of an application. Returns the server's refusal, or undefined. */
export function login(
  secret: Readonly<Record<string, string>>,
  password = secret.DB_PASSWORD ?? '',
  sql = 'SELECT 1',
): Promise<string | undefined> {
  return forwarded(sandbox, 'development', ['database', 'postgresql', 5432], async (port) => {
    const { DB_USER: user = '', DB_NAME: database = '' } = secret;
    const client = new Client({
      ...{ host: '127.0.0.1', port, user, password, database },
      // The backend's DB_SSLROOTCERT; the server accepts only TLS.
      ssl: { ca: await readFile(state('certificates/ca.crt'), 'utf8') },
    });
    try {
      await client.connect();
      await client.query(sql);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await client.end().catch(() => undefined);
    }
  });
}
