import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerIdentity } from '../../../lib/certificates/server.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { waitForVault } from '../../../lib/vault/api/init.ts';
import { makeCertificate } from '../../rig/certificate.ts';

export type RealVault = {
  readonly folder: string;
  readonly keysPath: string;
  readonly address: string;
  readonly identity: ServerIdentity;
  /** File of the authority. */
  readonly authorityFile: string;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** Ends the process and removes its data. */
  readonly remove: () => Promise<void>;
};

/** Address of one server of several; chosen in advance, because each must know the others. */
export type VaultPlace = { readonly port: number; readonly clusterPort: number };

export type RealVaultOptions = {
  readonly place?: VaultPlace;
  /** Servers to join; default: none. */
  readonly joins?: readonly VaultPlace[];
  /** A seal that unseals it without keys. */
  readonly seal?: object;
};

export const serverName = 'vault.vault.svc';

/** Of all servers, so that they trust each other. */
let certificate: ReturnType<typeof makeCertificate> | undefined;

function certificateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'real-vault-certificate-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  return folder;
}

/** A real Vault server on a free loopback port with its own data folder; not started yet. */
export async function realVault({ place, joins, seal }: RealVaultOptions = {}): Promise<RealVault> {
  const folder = await mkdtemp(join(tmpdir(), 'real-vault-'));
  const { port, clusterPort } = place ?? { port: await freePort(), clusterPort: await freePort() };
  const address = `https://127.0.0.1:${port}`;
  const hosts = [`DNS:${serverName}`, 'IP:127.0.0.1'];
  certificate ??= makeCertificate(certificateFolder(), 'server', hosts);
  const files = await certificate;
  const identity = { authority: files.authority, name: serverName };
  const path = join(folder, 'data');
  await mkdir(path);
  const raft = {
    path,
    node_id: `node-${port}`,
    // Elects a leader within a second.
    performance_multiplier: 1,
    // Interval of updating the voters.
    autopilot_reconcile_interval: '500ms',
    autopilot_update_interval: '200ms',
    retry_join: joins?.map((other) => ({
      leader_api_addr: `https://127.0.0.1:${other.port}`,
      leader_ca_cert_file: files.certificate,
    })),
  };
  const configuration = {
    storage: { raft },
    listener: {
      tcp: {
        ...{ address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}` },
        ...{ tls_cert_file: files.certificate, tls_key_file: files.key },
      },
    },
    disable_mlock: true,
    api_addr: address,
    cluster_addr: `https://127.0.0.1:${clusterPort}`,
    ...(seal === undefined ? {} : { seal }),
  };
  await writeFile(join(folder, 'vault.json'), JSON.stringify(configuration));
  let child: ChildProcess | undefined;
  // A test that is aborted must not leave the server behind.
  process.once('exit', () => child?.kill('SIGKILL'));

  async function start(): Promise<void> {
    const failed = new AbortController();
    child = spawn('vault', ['server', `-config=${join(folder, 'vault.json')}`], {
      env: { PATH: process.env.PATH, HOME: folder },
    });
    ended(child).then(
      ({ exitCode, stdout, stderr }) =>
        failed.abort(new Error(`vault ended with ${exitCode}: ${`${stdout}${stderr}`.slice(-2000)}`)),
      (error) => failed.abort(new Error(`this test needs vault on the PATH: ${error.message}`)),
    );
    const client = vaultClient({ address, identity, signal: failed.signal });
    await waitForVault(client, 30_000, failed.signal).catch((error: unknown) => {
      throw failed.signal.reason ?? error;
    });
  }

  async function stop(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.pid === undefined) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  return {
    folder,
    keysPath: join(folder, 'keys', 'keys.json'),
    address,
    identity,
    authorityFile: files.certificate,
    start,
    stop,
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}
