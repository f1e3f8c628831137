import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Launched, processesWith } from '../rig/launched.ts';
import { processesOf, type Sandbox } from './sandbox.ts';

/** Starts a task; its events are in the output. With `terminal` on a pseudo-terminal of script(1). */
export function startRun({ folder, home, env }: Sandbox, words: readonly string[], terminal = false) {
  const command = ['./run', ...words, '--output', 'json'];
  const [program = '', ...args] = terminal ? ['script', '-qefc', command.join(' '), '/dev/null'] : command;
  const stdin = terminal ? 'pipe' : 'ignore';
  const child = spawn(program, args, { cwd: folder, env, stdio: [stdin, 'pipe', 'pipe'] });
  return new Launched(child, `HOME=${home}`);
}

/** The event of a task that has started or succeeded, as the output shows it. */
export const eventOf = (event: 'started' | 'done', name: string): string =>
  `{"type":"task-${event}","id":"${name} `;

/** All processes of a sandbox: those with its home, or its folder in their arguments. */
export async function leftovers({ folder, home }: Sandbox): Promise<string[]> {
  const atHome = processesWith(`HOME=${home}`).map(async (pid) => {
    const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    return words.replaceAll('\0', ' ').trim();
  });
  const lines = [...(await processesOf(folder)), ...(await Promise.all(atHome))];
  return [...new Set(lines.filter((line) => line !== ''))];
}

/** Variables that configure the same programs; none may have an effect. */
export const nonsense: NodeJS.ProcessEnv = {
  KUBECONFIG: '/nowhere/kubeconfig',
  GNUPGHOME: '/nowhere/gnupg',
  HELM_KUBEAPISERVER: 'https://192.0.2.1',
  HELM_KUBECONTEXT: 'nowhere',
  HELM_NAMESPACE: 'nowhere',
  HELM_DRIVER: 'memory',
  HELMFILE_ENVIRONMENT: 'nowhere',
  HELMFILE_FILE_PATH: '/nowhere/helmfile.yaml',
  KWOK_WORKDIR: '/nowhere/kwok',
  KWOK_CONFIG: '/nowhere/kwok.yaml',
  KWOK_KUBE_APISERVER_PORT: '1',
  ETCD_NAME: 'nowhere',
  ETCD_LISTEN_CLIENT_URLS: 'http://192.0.2.1:1',
  VAULT_ADDR: 'http://192.0.2.1:8200',
  VAULT_TOKEN: 'nonsense',
  VAULT_CACERT: '/nowhere/ca.crt',
  VAULT_SEAL_TYPE: 'awskms',
  SOPS_GPG_EXEC: '/nowhere/gpg',
  SOPS_PGP_FP: 'ABCDEF',
  PGDATA: '/nowhere/data',
  PGPORT: '1',
  VSO_CLIENT_CACHE_SIZE: 'nonsense',
  KUBERNETES_MASTER: 'http://192.0.2.1',
};
