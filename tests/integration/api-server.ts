import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '../../lib/ground/poll.ts';
import { freePort } from '../../lib/runner/tests/rig/free-port.ts';
import { makeCertificate } from '../rig/certificate.ts';
import { callIn, outputOf, type Place } from '../rig/programs.ts';

export type ApiServer = Awaited<ReturnType<typeof startApiServer>>;

const readyMs = 120_000;

/**
 * An API server on loopback and its etcd, without controllers and nodes. It stores objects; RBAC and admission are
 * real. The programs are those on PATH unless others are given. Throws the server's output if it does not start.
 */
export async function startApiServer(
  programs: { readonly etcd?: string; readonly kubeApiserver?: string } = {},
) {
  const { etcd = 'etcd', kubeApiserver = 'kube-apiserver' } = programs;
  const folder = await mkdtemp(join(tmpdir(), 'api-server-'));
  const token = randomBytes(16).toString('hex');
  const { certificate, key } = await makeCertificate(folder, 'service-accounts', ['DNS:issuer']);
  const tokens = join(folder, 'tokens.csv');
  const secret = { mode: 0o600 };
  await writeFile(tokens, `${token},administrator,administrator,system:masters\n`, secret);
  const port = await freePort();
  const address = `https://127.0.0.1:${port}`;
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(address, token)), secret);

  let said = '';
  const start = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    // A test that is aborted must not leave it behind.
    process.once('exit', () => child.kill('SIGKILL'));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-4000);
    });
    return child;
  };
  const store = `unix://${join(folder, 'etcd.sock')}`;
  const children = [
    start(etcd, [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${store}`,
      // nobody asks for it, but it has to have a port
      '--advertise-client-urls=http://nowhere:0',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--unsafe-no-fsync',
    ]),
    start(kubeApiserver, [
      `--etcd-servers=${store}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      // no Service `kubernetes`: nobody uses it, and a loopback address would be refused
      '--endpoint-reconciler-type=none',
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, 'certificates')}`,
      `--token-auth-file=${tokens}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      `--service-account-issuer=${address}`,
      `--service-account-key-file=${certificate}`,
      `--service-account-signing-key-file=${key}`,
    ]),
  ];
  const stop = async (): Promise<void> => {
    // No data is kept, so kill it.
    for (const child of children) if (child.kill('SIGKILL')) await once(child, 'exit');
    await rm(folder, { recursive: true, force: true });
  };
  const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(folder, 'kube-cache') };
  const ready = await poll(async () => {
    if (children.some(({ exitCode }) => exitCode !== null)) return false;
    // the namespace comes a moment after the rest
    for (const path of ['/readyz', '/api/v1/namespaces/default'])
      if ((await callIn({ folder, env }, 'kubectl', ['get', '--raw', path])).exitCode !== 0) return undefined;
    return true;
  }, readyMs);
  if (!ready) {
    await stop();
    throw new Error(`the API server did not become ready: ${said}`);
  }
  /** kubectl as administrator; throws its error if it fails. */
  const kubectl = (args: readonly string[], stdin?: string): Promise<string> =>
    outputOf({ folder, env }, 'kubectl', args, stdin);
  const authority = join(folder, 'certificates', 'apiserver.crt');
  return { folder, env, kubeconfig, address, token, authority, kubectl, stop };
}

/** The self-signed certificate is its own CA. */
const kubeconfigOf = (server: string, token: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
  users: [{ name: 'test', user: { token } }],
  contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  'current-context': 'test',
});

export const list = (objects: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });

const dryRunWords =
  'apply --server-side --force-conflicts --dry-run=server --validate=strict --filename=-'.split(' ');

/**
 * `kubectl apply --dry-run=server`: unknown fields are errors, and Pod Security warns about pods that it would reject.
 */
export const dryRunOn = (place: Place, objects: readonly object[], more: readonly string[] = []) =>
  callIn(place, 'kubectl', [...dryRunWords, ...more], list(objects));
