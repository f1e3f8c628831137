import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A free port of loopback. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A process of this machine that is ended with the test. */
export function start(program: string, args: readonly string[], cwd: string): ChildProcess {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

export type RealApi = {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly address: string;
  /** Of its certificate, which it signed itself. */
  readonly authority: string;
  /** kubectl as administrator; throws what it said when it fails. */
  readonly kubectl: (args: readonly string[], stdin?: string) => Promise<string>;
  readonly remove: () => Promise<void>;
};

/** etcd and an API server on loopback, without controllers: objects are kept, and rights and admission are real. */
export async function realApi(): Promise<RealApi> {
  const folder = await mkdtemp(join(tmpdir(), 'real-api-'));
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const token = 'administrator-of-a-test';
  await writeFile(join(folder, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  await promisify(execFile)('openssl', ['genrsa', '-out', join(folder, 'accounts.key'), '2048']);
  const kubeconfig = join(folder, 'kubeconfig');
  const address = `https://127.0.0.1:${port}`;
  const entry = (kind: string, value: object) => ({ name: 'test', [kind]: value });
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [entry('cluster', { server: address, 'insecure-skip-tls-verify': true })],
      users: [entry('user', { token })],
      contexts: [entry('context', { cluster: 'test', user: 'test' })],
    }),
    { mode: 0o600 },
  );
  const etcd = start(
    'etcd',
    [
      ...[
        '--data-dir',
        'etcd',
        '--log-level',
        'error',
        '--initial-cluster',
        `default=http://127.0.0.1:${peer}`,
      ],
      ...['--listen-client-urls', `http://127.0.0.1:${client}`],
      ...['--advertise-client-urls', `http://127.0.0.1:${client}`],
      ...['--listen-peer-urls', `http://127.0.0.1:${peer}`],
      ...['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
    ],
    folder,
  );
  const api = start(
    'kube-apiserver',
    [
      ...['--etcd-servers', `http://127.0.0.1:${client}`, '--bind-address', '127.0.0.1'],
      ...['--secure-port', String(port), '--cert-dir', 'certificates', '--authorization-mode', 'RBAC'],
      ...['--service-account-key-file', 'accounts.key', '--service-account-signing-key-file', 'accounts.key'],
      ...['--service-account-issuer', 'https://test', '--token-auth-file', 'tokens.csv'],
      ...['--service-cluster-ip-range', '10.96.0.0/16'],
    ],
    folder,
  );
  for (const child of [etcd, api]) for (const stream of [child.stdout, child.stderr]) stream?.resume();
  const kubectl = (args: readonly string[], stdin = ''): Promise<string> =>
    new Promise((resolve, reject) => {
      const words = ['--kubeconfig', kubeconfig, '--context', 'test', ...args];
      const child = execFile('kubectl', words, (error, stdout, stderr) =>
        error ? reject(new Error(`kubectl ${args.join(' ')}: ${stderr}`)) : resolve(stdout),
      );
      child.stdin?.end(stdin);
    });
  const remove = async (): Promise<void> => {
    for (const child of [api, etcd]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 120_000;
  while (!(await kubectl(['get', '--raw', '/readyz']).catch(() => '')).includes('ok')) {
    if (api.exitCode !== null || Date.now() > deadline) {
      await remove();
      throw new Error('the API server did not start');
    }
    await delay(500);
  }
  return {
    folder,
    kubeconfig,
    address,
    authority: join(folder, 'certificates', 'apiserver.crt'),
    kubectl,
    remove,
  };
}
