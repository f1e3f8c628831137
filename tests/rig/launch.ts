import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../lib/ground/project.ts';
import { type RigTask, rigProgram } from '../../lib/runner/tests/rig/rig.ts';
import { Launched } from './launched.ts';

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
    return this.#launch([...line.split(' '), ...args], tasks, env);
  }

  /** Starts a line in a pseudo-terminal of this size, by script(1) of util-linux. */
  inTerminal(
    line: string,
    tasks: readonly RigTask[],
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    { columns, rows }: { readonly columns: number; readonly rows: number } = { columns: 80, rows: 24 },
  ): Launched {
    const command = `stty cols ${columns} rows ${rows}; exec ${[line, ...args].join(' ')}`;
    const terminal = { SHELL: '/bin/sh', TERM: 'xterm-256color' };
    return this.#launch(['script', '-qfec', command, '/dev/null'], tasks, { ...terminal, ...env });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #launch(words: readonly string[], tasks: readonly RigTask[], env: NodeJS.ProcessEnv): Launched {
    this.#runs += 1;
    const mark = `${this.folder}#${this.#runs}`;
    const inherited = { ...process.env };
    for (const name of ['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'NO_COLOR', 'FORCE_COLOR'])
      delete inherited[name];
    const variables = {
      ...inherited,
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`,
      LC_ALL: 'C.UTF-8',
      RIG_TASKS: JSON.stringify(tasks),
      RIG_MARK: mark,
      ...env,
    };
    const [program = '', ...args] = words;
    const stdin = program === 'script' ? 'pipe' : 'ignore';
    const child = spawn(program, args, { cwd: this.folder, env: variables, stdio: [stdin, 'pipe', 'pipe'] });
    return new Launched(child, `RIG_MARK=${mark}`);
  }
}
