import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import * as assert from 'uvu/assert';
import { ended } from '../../lib/runner/tests/rig/ended.ts';
import type { Sandbox } from './sandbox.ts';

/** Calls `use` with a local port that `kubectl port-forward` leads to a port of a Service, as a person would. */
export async function forwarded<Result>(
  sandbox: Sandbox,
  environment: string,
  [namespace, service, port]: readonly [namespace: string, service: string, port: number],
  use: (port: number) => Promise<Result>,
): Promise<Result> {
  const state = (name: string): string => sandbox.path('.state', environment, name);
  const words = ['--kubeconfig', state('kubeconfig'), '-n', namespace, 'port-forward', `svc/${service}`];
  // This kubectl must not leave files in the home, which is checked at the end.
  const env = { ...sandbox.env, KUBECACHEDIR: state('kube-cache') };
  const forward = spawn('kubectl', [...words, `:${port}`], { stdio: ['ignore', 'pipe', 'pipe'], env });
  // It may end by itself: when its pod ends or a connection through it breaks.
  const end = ended(forward);
  try {
    const line = once(createInterface({ input: forward.stdout }), 'line');
    const first = await Promise.race([line, end.then(({ stderr }) => assert.unreachable(stderr))]);
    return await use(Number(/:(\d+) ->/.exec(String(first))?.[1]));
  } finally {
    forward.kill();
    await end;
  }
}

/** Calls `use` with a session in the environment's database. */
export async function atDatabase<Result>(
  sandbox: Sandbox,
  environment: string,
  login: { readonly user: string; readonly password: string; readonly database: string },
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  // The backend's DB_SSLROOTCERT; the server accepts only TLS.
  const ca = await readFile(sandbox.path('.state', environment, 'certificates/ca.crt'), 'utf8');
  return forwarded(sandbox, environment, ['database', 'postgresql', 5432], async (port) => {
    const client = new Client({ ...login, host: '127.0.0.1', port, ssl: { ca } });
    client.on('error', () => {});
    try {
      await client.connect();
      return await use(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  });
}
