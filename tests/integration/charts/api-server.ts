import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPair, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { callIn, type Place } from './ask.ts';

export type ApiServer = Place & { readonly stop: () => Promise<void> };

/** How long it may take until it is ready, on a machine that does something else as well. */
const readyMs = 120_000;

/**
 * An API server with its store and nothing else, on loopback: no controllers, no nodes. It answers what it would take. Throws
 * what the server said when it does not come up.
 */
export async function startApiServer(programs: {
  readonly etcd: string;
  readonly kubeApiserver: string;
}): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'api-server-'));
  const [store, peers, port] = await Promise.all([freePort(), freePort(), freePort()]);
  const token = randomBytes(16).toString('hex');
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const key = join(folder, 'service-accounts.pem');
  const secret = { mode: 0o600 };
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), secret);
  await writeFile(
    join(folder, 'tokens.csv'),
    `${token},administrator,administrator,system:masters\n`,
    secret,
  );
  const server = `https://127.0.0.1:${port}`;
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, stringify(kubeconfigOf(server, token)), secret);

  const children: ChildProcess[] = [];
  let said = '';
  const start = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-4000);
    });
    children.push(child);
    return child;
  };
  const stop = async (): Promise<void> => {
    // Nothing of it is kept: it need not end well.
    for (const child of children.filter(({ exitCode, signalCode }) => exitCode === null && !signalCode)) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  };
  start(programs.etcd, [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${store}`,
    `--advertise-client-urls=http://127.0.0.1:${store}`,
    `--listen-peer-urls=http://127.0.0.1:${peers}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peers}`,
    `--initial-cluster=default=http://127.0.0.1:${peers}`,
    '--unsafe-no-fsync',
  ]);
  const main = start(programs.kubeApiserver, [
    `--etcd-servers=http://127.0.0.1:${store}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    // nobody looks for it by the Service kubernetes, and on loopback it would be refused
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16',
    `--service-account-issuer=${server}`,
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
  ]);
  const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(folder, 'kube-cache') };
  const place: Place = { folder, env };
  try {
    const deadline = Date.now() + readyMs;
    for (;;) {
      const ready = await callIn(place, 'kubectl', ['get', '--raw', '/readyz']);
      if (ready.exitCode === 0) return { ...place, stop };
      if (main.exitCode !== null || Date.now() > deadline)
        throw new Error(`not ready: ${ready.stderr}\n${said}`);
      await sleep(500);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Its certificate is its own: nobody else could have signed it. */
const kubeconfigOf = (server: string, token: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
  users: [{ name: 'test', user: { token } }],
  contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  'current-context': 'test',
});
