import { accessSync, constants, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// Runs before the npm packages are installed, so it imports only Node.

/** Variable names by purpose; a final `*` matches any letters. */
const listFile = fileURLToPath(new URL('../../environments/variables.json', import.meta.url));

/** Variables for the tasks only: secrets, and those that influence other programs. */
const forTasks = patternOf([
  'ENVIRONMENT CLUSTER_PROVIDER CLUSTER_CONTEXT KUBECONFIG SOPS_PGP_KEY SOPS_PGP_KEY_FILE SOPS_EDITOR',
  'NODE_OPTIONS NO_COLOR FORCE_COLOR COLUMNS TASKS_PACKAGES_INSTALLED TASKS_CALLED_IN TASKS_CALLED_AS GIT_INDEX_FILE',
]);

/**
 * Variables to pass to programs, listed in environments/variables.json. Others could run code in a shell (BASH_ENV),
 * redirect a program (GIT_DIR, PGHOST, HELM_KUBEAPISERVER), or reveal a secret to it.
 */
export function passedOn(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const listed = listedNames();
  return Object.fromEntries(Object.entries(variables).filter(([name]) => listed.test(name)));
}

/** Variables for an npm: without those of an npm or npx around the tasks, which lead to another folder. */
export function npmEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign =
    /^npm_(lifecycle_|package_|command$|config_(local_prefix|prefix|package|call|global|include_workspace_root)$)/;
  const kept = Object.entries(environment).filter(([name]) => !foreign.test(name.toLowerCase()));
  return Object.fromEntries(kept);
}

/** Variables that contain paths. */
const withPaths = patternOf([
  'KUBECONFIG SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GIT_SSL_CAINFO',
  'GIT_INDEX_FILE SOPS_AGE_KEY_FILE GOOGLE_APPLICATION_CREDENTIALS AWS_CA_BUNDLE AWS_*_FILE AZURE_*_FILE',
]);

/**
 * Cleans up the variables of this process and its children. `folder` is the project's; its `.home` becomes the home
 * of a user without one. Throws if the list of names cannot be read.
 */
export function settleVariables(variables: NodeJS.ProcessEnv, folder: string): void {
  const listed = listedNames();
  for (const name of Object.keys(variables)) {
    if (listed.test(name) || forTasks.test(name)) continue;
    delete variables[name];
    leftOut.push(name);
  }
  // Absolute, since programs start in different folders.
  variables.TASKS_CALLED_IN ??= process.cwd();
  const calledIn = variables.TASKS_CALLED_IN;
  for (const [name, paths = ''] of Object.entries(variables))
    if (withPaths.test(name))
      variables[name] = paths
        .split(delimiter)
        .map((path) => path && resolve(calledIn, path))
        .join(delimiter);
  // Messages of programs are read in English. The rest of the user's locale stays.
  const { LC_ALL } = variables;
  for (const name of Object.keys(variables)) if (LC_ALL && name.startsWith('LC_')) delete variables[name];
  if (LC_ALL) variables.LANG = LC_ALL;
  variables.LC_MESSAGES = 'C';
  delete variables.LANGUAGE;
  // The default of shells.
  variables.PATH ??= '/usr/local/bin:/usr/bin:/bin';
  // Node uses the first one set, even if it is unusable.
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) {
    const path = resolve(calledIn, variables[name] || 'none');
    if (variables[name] && may(path, constants.W_OK)) variables[name] = path;
    else delete variables[name];
  }
  variables.HOME ??= accountHome();
  if (!isHome(variables.HOME)) variables.HOME = join(folder, '.home');
}

/** Names of the variables that were removed. */
export const leftOut: string[] = [];

let listedOnce: RegExp | undefined;

function listedNames(): RegExp {
  if (listedOnce !== undefined) return listedOnce;
  const names: unknown[] = Object.values(JSON.parse(readFileSync(listFile, 'utf8'))).flat();
  const wrong = names.find((name) => !/^[A-Za-z_]\w*\*?$/.test(String(name)));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is not the name of a variable`);
  listedOnce = patternOf(names as string[]);
  return listedOnce;
}

/** Matches these names; one text may have several. */
function patternOf(names: readonly string[]): RegExp {
  return new RegExp(`^(?:${names.join(' ').replaceAll(' ', '|').replaceAll('*', '.*')})$`);
}

/** The home of this user's account; empty without one, as with an arbitrary user id in a container. */
function accountHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return '';
  }
}

/** True for a home that is writable or has a cache. */
const isHome = (path: string): boolean =>
  isAbsolute(path) && (may(path, constants.W_OK) || may(join(path, '.cache'), constants.R_OK));

/** True if the folder allows this access; false for a file. */
function may(folder: string, mode: number): boolean {
  try {
    accessSync(`${folder}/.`, mode | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
