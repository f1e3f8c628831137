import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vaultClient } from '../../../lib/vault/client.ts';
import { waitForVault } from '../../../lib/vault/init.ts';

export type RealVault = {
  readonly folder: string;
  readonly keysPath: string;
  readonly address: string;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** Ends the process and removes its data. */
  readonly remove: () => Promise<void>;
};

/** A real Vault server on a free port of loopback with its data in a folder of its own; not started yet. */
export async function realVault(): Promise<RealVault> {
  const folder = await mkdtemp(join(tmpdir(), 'real-vault-'));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const configuration = {
    storage: { file: { path: join(folder, 'data') } },
    listener: { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } },
    disable_mlock: true,
    api_addr: address,
  };
  await writeFile(join(folder, 'vault.json'), JSON.stringify(configuration));
  let child: ChildProcess | undefined;
  // A test that breaks off must not leave the server behind.
  process.once('exit', () => child?.kill('SIGKILL'));

  async function start(): Promise<void> {
    let output = '';
    const failed = new AbortController();
    child = spawn('vault', ['server', `-config=${join(folder, 'vault.json')}`], {
      env: { PATH: process.env.PATH, HOME: folder },
    });
    const note = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
    child.on('error', (error) =>
      failed.abort(new Error(`this test needs vault on the PATH: ${error.message}`)),
    );
    child.on('exit', (code) => failed.abort(new Error(`vault ended with ${code}: ${output}`)));
    await waitForVault(vaultClient({ address, signal: failed.signal }), 30_000, failed.signal);
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
    start,
    stop,
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** A port that the operating system had free. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
