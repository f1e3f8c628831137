import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import * as assert from 'uvu/assert';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { sandbox, state } from './shared.ts';

/** Logs in with the parameters of an application through `kubectl port-forward`, as a person would. Returns the server's refusal, or undefined. */
export async function login(
  secret: Readonly<Record<string, string>>,
  password = secret.DB_PASSWORD ?? '',
  sql = 'SELECT 1',
): Promise<string | undefined> {
  const kubeconfig = state('kubeconfig');
  const words = ['--kubeconfig', kubeconfig, '-n', 'database', 'port-forward', 'svc/postgresql', ':5432'];
  // This kubectl must not leave files in the home, which is checked at the end.
  const env = { ...sandbox.env, KUBECACHEDIR: state('kube-cache') };
  const forward = spawn('kubectl', words, { stdio: ['ignore', 'pipe', 'pipe'], env });
  // It may end by itself: when its pod ends or a connection through it breaks.
  const end = ended(forward);
  try {
    const line = once(createInterface({ input: forward.stdout }), 'line');
    const first = await Promise.race([line, end.then(({ stderr }) => assert.unreachable(stderr))]);
    const port = Number(/:(\d+) ->/.exec(String(first))?.[1]);
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
  } finally {
    forward.kill();
    await end;
  }
}
