import { type ExecFileException, execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type CheckInput = {
  readonly projectFolder: string;
  /** The backend's environment, passed by stdin. */
  readonly environment: Readonly<Record<string, string>>;
  /** `127.0.0.1:<port>` of a port-forward; default: `DB_HOST`. */
  readonly databaseAddress?: string;
  /** PEM of the database's authority, in place of the file that `DB_SSLROOTCERT` names. */
  readonly databaseAuthority?: string | undefined;
  /** Milliseconds for the whole program. Default: 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/**
 * Runs the verification program of `docker/backend-verification` as a local process, for clusters without real pods.
 * Returns its output, without secrets; a failure is a line `FAILED <check>: <reason>`. Rejects only if `signal` aborts.
 */
export async function runCheck(input: CheckInput) {
  const { projectFolder, signal, timeoutMs = 60_000 } = input;
  signal?.throwIfAborted();
  const program = join(projectFolder, 'docker', 'backend-verification', 'verify.mjs');
  // A new environment: PGHOST, NODE_OPTIONS and the like would change the check.
  const env = {
    PATH: process.env.PATH,
    ENVIRONMENT_FILE: '-',
    DATABASE_ADDRESS: input.databaseAddress,
    DATABASE_AUTHORITY: input.databaseAuthority,
  };
  const options = { env, timeout: timeoutMs, killSignal: 'SIGKILL', ...(signal && { signal }) } as const;
  const running = promisify(execFile)(process.execPath, [program], options);
  // If a program ends before reading everything, its exit code decides, not the broken pipe.
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(JSON.stringify(input.environment));
  const { stdout, stderr, error } = await running.then(
    (output) => ({ ...output, error: undefined }),
    (error: ExecFileException & { stdout: string; stderr: string }) => ({ ...error, error }),
  );
  signal?.throwIfAborted();

  const lines = stdout.split('\n').filter((line) => line !== '');
  const failed = lines.some((line) => line.startsWith('FAILED '));
  const ok = error === undefined && !failed && lines.some((line) => line.startsWith('ok '));
  if (!ok && !failed) {
    const ended = `ended with ${error ? (error.code ?? error.signal ?? 'an error') : 0}${lastLine(stderr)}`;
    const reason = error?.killed ? `no result within ${timeoutMs / 1000} s` : ended;
    lines.push(`FAILED verification program: ${reason}`);
  }
  return { ok, lines };
}

/** The error's line in a crashed Node's output. */
function lastLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const line = lines.find((text) => /^[\w.]*Error\b/.test(text)) ?? lines.findLast((text) => text !== '');
  return line === undefined ? '' : `: ${line}`;
}
