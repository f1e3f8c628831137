import { accessSync, constants } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

// Used before the npm packages are installed: Node alone.

/** With these a shell runs something else first, or programs understand their words differently. */
const misleading =
  /^(?:BASH_ENV|BASH_FUNC_.*|BASH_XTRACEFD|BASHOPTS|CDPATH|ENV|EXECIGNORE|GLOBIGNORE|GREP_OPTIONS|POSIXLY_CORRECT|SHELLOPTS)$/;

/**
 * Changes the variables that this process was started with into ones that every program it calls can work with. `folder` is the
 * project's: `.home` in it becomes the home of a user who has none.
 */
export function settleVariables(variables: NodeJS.ProcessEnv, folder: string): void {
  for (const name of Object.keys(variables)) if (misleading.test(name)) delete variables[name];
  // In this order Node takes the first that is set, without a look at it; and programs start in several folders.
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) {
    const path = resolve(variables[name] || 'none');
    if (variables[name] && may(path, constants.W_OK)) variables[name] = path;
    else delete variables[name];
  }
  variables.HOME ??= accountHome();
  if (!isHome(variables.HOME)) variables.HOME = join(folder, '.home');
}

/** The home of this user's account; empty where the user id has no account, as in a container that was started with any id. */
function accountHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return '';
  }
}

/** A home that cannot be written will do when it has a cache already. */
const isHome = (path: string): boolean =>
  isAbsolute(path) && (may(path, constants.W_OK) || may(join(path, '.cache'), constants.R_OK));

function may(folder: string, mode: number): boolean {
  try {
    accessSync(folder, mode | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
