import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processesOf, type Sandbox } from './sandbox.ts';

const deadlineMs = 120_000;

/** A run of the tasks in its own process, to watch and to stop in the middle. */
export class LiveRun {
  readonly #child: ChildProcess;
  #output = '';
  readonly #watchers = new Set<() => void>();
  /** The exit code, or the signal's name. */
  readonly exit: Promise<number | string | null>;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.#output += chunk;
        for (const look of [...this.#watchers]) look();
      });
    }
    this.exit = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves when the output contains this text; rejects when the run ends without it, or after two minutes. */
  said(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle();
      };
      const fail = (why: string) => end(() => reject(new Error(`no "${text}" ${why}: ${this.#output}`)));
      const look = (): void => {
        if (this.#output.includes(text)) end(resolve);
      };
      const timer = setTimeout(() => fail('in time'), deadlineMs);
      this.#watchers.add(look);
      void this.exit.then(() => fail('up to the end'));
      look();
    });
  }

  /** Resolves when a task has started or succeeded: `started install-tier`. */
  task(event: 'started' | 'done', name: string): Promise<void> {
    return this.said(`{"type":"task-${event}","id":"${name} `);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Presses Ctrl-C; only in a terminal. */
  pressCtrlC(): void {
    this.#child.stdin?.write('\x03');
  }
}

/** Starts a task; its events are in the output. With `terminal` on a pseudo-terminal of script(1). */
export function startRun(sandbox: Sandbox, words: readonly string[], terminal = false): LiveRun {
  const command = ['./run', ...words, '--output', 'json'];
  const [program = '', ...args] = terminal ? ['script', '-qefc', command.join(' '), '/dev/null'] : command;
  const stdin = terminal ? 'pipe' : 'ignore';
  return new LiveRun(
    spawn(program, args, { cwd: sandbox.folder, env: sandbox.env, stdio: [stdin, 'pipe', 'pipe'] }),
  );
}

/** All processes of a sandbox: those with its home, or its folder in their arguments. */
export async function leftovers({ folder, home }: Sandbox): Promise<string[]> {
  const named = await processesOf(folder);
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, file: string) => readFile(join('/proc', pid, file), 'latin1').catch(() => '');
  const athome = await Promise.all(
    pids.map(async (pid) => {
      const ours = (await read(pid, 'environ'))
        .split('\0')
        .includes(`HOME=${Buffer.from(home).toString('latin1')}`);
      return ours ? (await read(pid, 'cmdline')).replaceAll('\0', ' ').trim() : '';
    }),
  );
  return [...new Set([...named, ...athome.filter((line) => line !== '')])];
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
