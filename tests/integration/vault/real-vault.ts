import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { waitForVault } from '../../../lib/vault/api/init.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { keysAt } from '../../rig/keys-place.ts';

export type RealVault = Awaited<ReturnType<typeof realVault>>;

/** Address of one server of several; chosen in advance, because each must know the others. */
export type VaultPlace = { readonly port: number; readonly clusterPort: number };

type Options = {
  readonly place?: VaultPlace;
  readonly joins?: readonly VaultPlace[];
  /** A seal that unseals it without keys. */
  readonly seal?: object;
};

export const newPlace = async (): Promise<VaultPlace> => ({
  port: await freePort(),
  clusterPort: await freePort(),
});

export const startMs = 120_000;

const serverName = 'vault.vault.svc';
/** Of all servers, so that they trust each other. */
const files = await makeCertificate(temporaryFolder(), 'server', [`DNS:${serverName}`, 'IP:127.0.0.1']);

/** A real Vault server on a free loopback port with its own data folder; not started yet. */
export async function realVault({ place, joins, seal }: Options = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'real-vault-'));
  const { port, clusterPort } = place ?? (await newPlace());
  const address = `https://127.0.0.1:${port}`;
  const identity = { authority: files.authority, name: serverName };
  const path = join(folder, 'data');
  const keysPath = join(folder, 'keys', 'keys.json');
  await mkdir(path);
  const raft = {
    ...{ path, node_id: `node-${port}` },
    // Elects a leader within a second, and soon knows who votes.
    performance_multiplier: 1,
    ...{ autopilot_reconcile_interval: '500ms', autopilot_update_interval: '200ms' },
    retry_join: joins?.map((other) => ({
      leader_api_addr: `https://127.0.0.1:${other.port}`,
      leader_ca_cert_file: files.certificate,
    })),
  };
  const tcp = {
    ...{ address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}` },
    ...{ tls_cert_file: files.certificate, tls_key_file: files.key },
  };
  const addresses = { api_addr: address, cluster_addr: `https://127.0.0.1:${clusterPort}` };
  const configuration = { storage: { raft }, listener: { tcp }, disable_mlock: true, ...addresses, seal };
  await writeFile(join(folder, 'vault.json'), JSON.stringify(configuration));
  let child: ChildProcess | undefined;
  // A test that is aborted must not leave the server behind.
  process.once('exit', () => child?.kill('SIGKILL'));

  async function start(): Promise<void> {
    const failed = new AbortController();
    child = spawn('vault', ['server', `-config=${join(folder, 'vault.json')}`], {
      env: { PATH: process.env.PATH, HOME: folder },
    });
    void ended(child).then(({ exitCode, stdout, stderr }) =>
      failed.abort(new Error(`vault ended with ${exitCode}: ${`${stdout}${stderr}`.slice(-2000)}`)),
    );
    const client = vaultClient({ address, identity, signal: failed.signal });
    await waitForVault(client, startMs, failed.signal);
  }

  async function stop(): Promise<void> {
    if (child?.kill('SIGTERM')) await once(child, 'exit');
  }

  return {
    ...{ folder, address, identity, start, stop },
    /** Neither answers nor follows until it is resumed. */
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    lose: async () => {
      await rm(path, { recursive: true });
      await mkdir(path);
    },
    ...{ keysPath, keysPlace: keysAt(keysPath) },
    /** File of the authority. */
    authorityFile: files.certificate,
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}
