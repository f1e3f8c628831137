import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { plainWords } from './command-text.ts';
import { findProgram } from './find-program.ts';
import { type Ended, echo, type Launch, runChild } from './run-child.ts';

/** With these bash does something before the command, or something else. */
const shellVariables = /^(?:BASH_ENV|BASHOPTS|EXECIGNORE|SHELLOPTS|BASH_FUNC_.*)$/;

/**
 * Starts a command without a shell, which takes about half the time. Undefined when there is something in it that only a
 * shell does, or when the program cannot be started: a shell has the right words and exit code for each reason.
 */
export function startDirectly(text: string, launch: Launch): Promise<Ended> | undefined {
  const words = plainWords(text);
  if (words === undefined) return undefined;
  const env = launch.options.env ?? process.env;
  for (const name in env) if (shellVariables.test(name)) return undefined;
  const cwd = resolve(launch.options.cwd ?? '.');
  const [name, ...args] = words;
  const file = findProgram(name, env.PATH, cwd);
  if (file === undefined) return undefined;
  const settings = { argv0: name, cwd, env: withWorkingDirectory(env, cwd), detached: true };
  const child = runChild(launch, file, args, settings);
  if (child.pid === undefined) {
    child.once('error', () => {});
    return undefined;
  }
  echo(launch, text);
  return new Promise((done) => {
    child.once('exit', (exitCode, signal) => void launch.state.closed.then(() => done({ exitCode, signal })));
  });
}

/** As a shell does: PWD is where the program starts, and stays as it is when it already leads there by another way. */
function withWorkingDirectory(env: NodeJS.ProcessEnv, cwd: string): NodeJS.ProcessEnv {
  if (env.PWD === cwd) return env;
  try {
    const real = realpathSync(cwd);
    const leadsThere = env.PWD?.startsWith('/') && !/\/\.\.?(?:\/|$)/.test(env.PWD) && isSame(env.PWD, real);
    return leadsThere ? env : { ...env, PWD: real };
  } catch {
    // No such folder: the start fails, and says so.
    return env;
  }
}

function isSame(left: string, right: string): boolean {
  const [one, other] = [left, right].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}
