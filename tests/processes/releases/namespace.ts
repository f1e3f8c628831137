import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFile } from '../../../lib/tools/release.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { hostNames } from './hosts.ts';

/** Set inside: the folder of the authority, which is trusted there. */
const variable = 'PLAYED_RELEASE_HOSTS';

export const playFolder = process.env[variable];

const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const mapping = process.getuid?.() === 0 ? [] : ['--map-root-user'];

/** Why this machine cannot simulate hosts, or undefined. */
export function whyNot(): string | undefined {
  try {
    execFileSync('unshare', [...mapping, ...flags, 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'pipe' });
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n').at(-1);
  }
}

/**
 * Runs a file again in namespaces where the names of the release hosts lead to this machine, nothing else can be
 * reached, and the project's lockfile is an empty one; returns its exit code. All that it starts ends with it.
 */
export async function runInside(file: string): Promise<number | null> {
  const folder = mkdtempSync(join(tmpdir(), 'releases-'));
  try {
    const { certificate } = await makeCertificate(
      folder,
      'hosts',
      hostNames.map((name) => `DNS:${name}`),
    );
    writeFileSync(
      join(folder, 'names'),
      ['localhost', ...hostNames, 'other.example'].map((name) => `127.0.0.1 ${name}\n`).join(''),
    );
    writeFileSync(join(folder, 'mise.lock'), '');
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
    const script = `ip link set lo up
mount --bind "$0/names" ${realpathSync('/etc/hosts')}
mount --bind "$0/resolv.conf" ${realpathSync('/etc/resolv.conf')}
mount --bind "$0/mise.lock" '${lockFile}'
exec "$@"`;
    const command = ['sh', '-ec', script, folder, process.execPath, '--import', 'tsx', file];
    const env = {
      ...process.env,
      [variable]: folder,
      SSL_CERT_FILE: certificate,
      GIT_SSL_CAINFO: certificate,
      npm_config_offline: 'true',
    };
    const child = spawn('unshare', [...mapping, ...flags, ...command], { env, stdio: 'inherit' });
    return await new Promise((resolve) => child.once('close', resolve));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
