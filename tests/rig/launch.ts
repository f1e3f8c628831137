import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'uvu';
import { root } from '../../lib/ground/project.ts';
import { temporaryFolder } from '../../lib/runner/tests/rig/folder.ts';
import { Arriving, type RigTask, rigProgram, within } from '../../lib/runner/tests/rig/rig.ts';

/** A separate project with this `tasks.ts`, which can be started like ours: `run`, its bundler and the packages are ours. */
export function projectOf(tasks: string, folder = temporaryFolder()): string {
  mkdirSync(join(folder, 'tasks'), { recursive: true });
  for (const path of ['run', 'lib/start']) cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(folder, 'package-lock.json'), '{}\n');
  writeFileSync(join(folder, 'tasks.ts'), tasks);
  return folder;
}

/** Lets a file launch the rig's tasks in such a project, which prints `loading` first; what a test left is ended. */
export async function launchFolder(test: Test) {
  const program = JSON.stringify(await rigProgram());
  const folder = projectOf(
    `process.stderr.write('loading\\n');\nconst program = ${program};\nawait import(program);\n`,
  );
  const started: Launched[] = [];
  test.after.each(() => {
    for (const launched of started.splice(0)) launched.end();
  });
  let runs = 0;
  const launch = (words: readonly string[], tasks: readonly RigTask[], variables: NodeJS.ProcessEnv) => {
    runs += 1;
    const mark = `${folder}#${runs}`;
    const env = { ...process.env };
    for (const name of ['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'NO_COLOR', 'FORCE_COLOR']) delete env[name];
    Object.assign(env, {
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`,
      ...{ LC_ALL: 'C.UTF-8', RIG_TASKS: JSON.stringify(tasks), RIG_MARK: mark },
      ...variables,
    });
    const [file = '', ...args] = words;
    const stdin = file === 'script' ? 'pipe' : 'ignore';
    const child = spawn(file, args, { cwd: folder, env, stdio: [stdin, 'pipe', 'pipe'] });
    const launched = new Launched(child, `RIG_MARK=${mark}`);
    started.push(launched);
    return launched;
  };
  return {
    /** Starts a line directly: the pid is that of the line's first word. */
    start: (line: string, tasks: readonly RigTask[], env: NodeJS.ProcessEnv = {}): Launched =>
      launch(line.split(' '), tasks, env),
    /** Starts a line in a pseudo-terminal, by script(1) of util-linux. */
    inTerminal: (line: string, tasks: readonly RigTask[], env: NodeJS.ProcessEnv = {}): Launched => {
      const command = `stty cols 80 rows 24; exec ${line}`;
      const terminal = { SHELL: '/bin/sh', TERM: 'xterm-256color' };
      return launch(['script', '-qfec', command, '/dev/null'], tasks, { ...terminal, ...env });
    },
  };
}

/** A started command line with its output, in a terminal of script(1) or not. */
export class Launched {
  readonly child: ChildProcess;
  /** The exit code, or the signal's name. In a terminal always a code, because script passes it on like a shell. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
  readonly #variable: string;
  readonly #shown = new Arriving();

  /** `variable` is one that only its processes have in their environment, as `NAME=value`. */
  constructor(child: ChildProcess, variable: string) {
    this.child = child;
    this.#variable = variable;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#shown.add(text));
    child.stdin?.on('error', () => {});
    this.exit = within(
      // Not `close`: processes that outlive the line would keep its output open.
      new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
      'the end of the line',
    );
    this.exit.catch(() => this.end());
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  get shown(): string {
    return this.#shown.text;
  }

  shows(text: string | RegExp): Promise<void> {
    return this.#shown.holds(text);
  }

  /** Every running process that the line started, directly or not, without the first one. */
  processes(): number[] {
    return processesWith(this.#variable).filter((pid) => pid !== this.child.pid);
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

/** Running processes with this variable, given as `NAME=value`, in the environment that they were started with. */
export function processesWith(variable: string): number[] {
  const bytes = Buffer.from(variable).toString('latin1');
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      // A zombie has no environment.
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(bytes);
    } catch {
      return false;
    }
  });
}
