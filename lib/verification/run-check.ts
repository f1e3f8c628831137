import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type CheckFailure = {
  /** `database variables`, `database login`, … */
  readonly check: string;
  readonly reason: string;
};

export type CheckResult = {
  readonly ok: boolean;
  /** The program's output for a person; without secrets. */
  readonly lines: readonly string[];
  readonly failures: readonly CheckFailure[];
};

export type CheckInput = {
  /** The folder of the project. */
  readonly projectFolder: string;
  /** The backend's environment, passed by stdin. */
  readonly environment: Readonly<Record<string, string>>;
  /** `127.0.0.1:<port>` of a port-forward; default: `DB_HOST`. */
  readonly databaseAddress?: string;
  /** PEM of the authority of the database's certificate, instead of the file that `DB_SSLROOTCERT` names. */
  readonly databaseAuthority?: string | undefined;
  /** Milliseconds for the whole program. Default 60000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/**
 * Runs the verification program of `docker/backend-verification` as a local process, for a cluster without real pods. Returns
 * a failed check; rejects only if `signal` aborts.
 */
export async function runCheck(input: CheckInput): Promise<CheckResult> {
  input.signal?.throwIfAborted();
  const timeoutMs = input.timeoutMs ?? 60_000;
  const program = join(input.projectFolder, 'docker', 'backend-verification', 'verify.mjs');
  const { exitCode, signal, timedOut, stdout, stderr } = await runProgram(program, input, timeoutMs);
  input.signal?.throwIfAborted();

  const lines = stdout.split('\n').filter((line) => line !== '');
  const failures = lines.flatMap(parseFailure);
  const succeeded = exitCode === 0 && failures.length === 0 && lines.some((line) => line.startsWith('ok '));
  if (!succeeded && failures.length === 0) {
    const reason = timedOut
      ? `no result within ${timeoutMs / 1000} s`
      : `ended with ${exitCode ?? signal ?? 'an error'}${lastLine(stderr)}`;
    failures.push({ check: 'verification program', reason });
    lines.push(`FAILED verification program: ${reason}`);
  }
  return { ok: succeeded, lines, failures };
}

type Ended = {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  timedOut: boolean;
  stdout: string;
  stderr: string;
};

function runProgram(program: string, input: CheckInput, timeoutMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    // Not this process's environment: PGHOST, NODE_OPTIONS and the like would change the check.
    const child = spawn(process.execPath, [program], {
      env: {
        PATH: process.env.PATH ?? '',
        ENVIRONMENT_FILE: '-',
        ...(input.databaseAddress === undefined ? {} : { DATABASE_ADDRESS: input.databaseAddress }),
        ...(input.databaseAuthority === undefined ? {} : { DATABASE_AUTHORITY: input.databaseAuthority }),
      },
    });
    const ended: Ended = { exitCode: null, signal: null, timedOut: false, stdout: '', stderr: '' };
    const kill = () => {
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => {
      ended.timedOut = true;
      kill();
    }, timeoutMs);
    input.signal?.addEventListener('abort', kill, { once: true });

    const finish = () => {
      clearTimeout(timer);
      input.signal?.removeEventListener('abort', kill);
      resolve(ended);
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      ended.stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      ended.stderr += chunk;
    });
    child.on('error', (error) => {
      ended.stderr += error.message;
      finish();
    });
    child.on('close', (exitCode, signal) => {
      Object.assign(ended, { exitCode, signal });
      finish();
    });
    // A program may end before it reads everything: its exit code decides, not the broken pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(input.environment));
  });
}

/** `FAILED <check>: <reason>`, as verify.mjs prints it. */
function parseFailure(line: string): CheckFailure[] {
  const [, check, reason] = /^FAILED ([^:]+): (.*)$/.exec(line) ?? [];
  return check === undefined || reason === undefined ? [] : [{ check, reason }];
}

/** The error's line in the output of a crashed Node. */
function lastLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const line = lines.find((text) => /^[\w.]*Error\b/.test(text)) ?? lines.findLast((text) => text !== '');
  return line === undefined ? '' : `: ${line}`;
}
