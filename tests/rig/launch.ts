import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../lib/ground/project.ts';
import { type RigTask, rigProgram, within } from '../../lib/runner/tests/rig/rig.ts';

/** The ways to start the tasks of a project, as a user types them in its folder. */
export const launchLines = [
  'npx tsx tasks.ts',
  'tsx tasks.ts',
  'node --import tsx tasks.ts',
  './run',
] as const;

export type LaunchLine = (typeof launchLines)[number];

/**
 * A separate project whose `tasks.ts` prints `loading` and then loads the rig's bundled program.
 * `run` and the packages are ours.
 */
export class LaunchFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'launch-'));
  #runs = 0;

  static async make(): Promise<LaunchFolder> {
    return new LaunchFolder(await rigProgram());
  }

  private constructor(program: string) {
    copyFileSync(join(root, 'run'), join(this.folder, 'run'));
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'));
    // `run` looks for sources and the bundler here.
    cpSync(join(root, 'lib', 'start'), join(this.folder, 'lib', 'start'), { recursive: true });
    mkdirSync(join(this.folder, 'tasks'));
    writeFileSync(join(this.folder, 'package-lock.json'), '{}\n');
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}\n');
    writeFileSync(
      join(this.folder, 'tasks.ts'),
      `process.stderr.write('loading\\n');\nconst program = ${JSON.stringify(program)};\nawait import(program);\n`,
    );
  }

  /** Starts a line directly: the pid is that of the line's first word. */
  start(
    line: LaunchLine,
    tasks: readonly RigTask[],
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Launched {
    const [program = '', ...words] = line.split(' ');
    const { mark, variables } = this.#environment(tasks, env);
    const child = spawn(program, [...words, ...args], {
      cwd: this.folder,
      env: variables,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Launched(child, mark);
  }

  /** Starts a line in a pseudo-terminal of this size, by script(1) of util-linux. */
  inTerminal(
    line: string,
    tasks: readonly RigTask[],
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    size: { readonly columns: number; readonly rows: number } = { columns: 80, rows: 24 },
  ): Launched {
    const { mark, variables } = this.#environment(tasks, env);
    const command = `stty cols ${size.columns} rows ${size.rows}; exec ${[line, ...args].join(' ')}`;
    const child = spawn('script', ['-qfec', command, '/dev/null'], {
      cwd: this.folder,
      env: { ...variables, SHELL: '/bin/sh', TERM: 'xterm-256color' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin?.on('error', () => {});
    return new Launched(child, mark);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #environment(
    tasks: readonly RigTask[],
    env: NodeJS.ProcessEnv,
  ): { mark: string; variables: NodeJS.ProcessEnv } {
    this.#runs += 1;
    const mark = `${this.folder}#${this.#runs}`;
    const {
      CI: _c,
      GITHUB_ACTIONS: _h,
      GITLAB_CI: _l,
      NO_COLOR: _n,
      FORCE_COLOR: _f,
      ...inherited
    } = process.env;
    const variables = {
      ...inherited,
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`,
      LC_ALL: 'C.UTF-8',
      RIG_TASKS: JSON.stringify(tasks),
      RIG_MARK: mark,
      ...env,
    };
    return { mark, variables };
  }
}

/** A started command line with its output, in a terminal or not. */
export class Launched {
  readonly child: ChildProcess;
  shown = '';
  /** The exit code, or the signal's name. In a terminal always a code, because script passes it on like a shell. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
  readonly #mark: string;
  readonly #watchers = new Set<() => void>();

  constructor(child: ChildProcess, mark: string) {
    this.child = child;
    this.#mark = mark;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.shown += text;
        for (const look of [...this.#watchers]) look();
      });
    }
    this.exit = within(
      // Not `close`: processes that outlive the line would keep its output open.
      new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
      'the end of the line',
    );
    this.exit.catch(() => this.end());
  }

  /** Presses a key: `\x03` is Ctrl-C. */
  type(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Resolves when this was shown. */
  shows(text: string | RegExp): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      const look = (): void => {
        if (typeof text === 'string' ? !this.shown.includes(text) : !text.test(this.shown)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
    return within(seen, `"${text}"`);
  }

  /** Every running process that the line started, directly or not, without script itself. */
  processes(): number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids
      .filter((pid) => {
        try {
          // A zombie has no environment.
          return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`RIG_MARK=${this.#mark}`);
        } catch {
          return false;
        }
      })
      .map(Number)
      .filter((pid) => pid !== this.child.pid);
  }

  /** Ends what a failed test left. */
  end(): void {
    for (const pid of [...this.processes(), this.child.pid ?? 0]) {
      try {
        if (pid > 0) process.kill(pid, 'SIGKILL');
      } catch {
        // Already ended.
      }
    }
  }
}
