import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Sends bytes to a loopback port and returns everything received until the other side closes. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer to ${text}`)));
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

export type Nginx = {
  /** In place of `/tmp`. */
  readonly folder: string;
  readonly stop: () => Promise<void>;
};

/**
 * Runs nginx with a configuration that listens on `port` of loopback and keeps its files in a folder instead of `/tmp`.
 */
export async function startNginx(program: string, configuration: string, port: number): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  // Started by root, its workers run as another user.
  chmodSync(folder, 0o777);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration.replaceAll(' /tmp/', ` ${folder}/`));
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', file, '-g', 'daemon off;'];
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 100; attempt++) {
    if (child.exitCode !== null) break;
    const open = await exchange(port, 'GET / HTTP/1.0\r\n\r\n').catch(() => '');
    if (open !== '') return { folder, stop };
    await delay(20);
  }
  const log = readFileSync(join(folder, 'error.log'), 'utf8');
  await stop();
  throw new Error(`nginx did not start: ${log}`);
}
