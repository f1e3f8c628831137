import { accessSync, constants, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// Used before the npm packages are installed: Node alone.

/** Names by what they are for; `*` at the end stands for any letters. */
const listFile = fileURLToPath(new URL('../../environments/variables.json', import.meta.url));

/** What only the tasks themselves read: secrets, and what would steer the programs that they call. */
const forTasks = patternOf(
  [
    'ENVIRONMENT CLUSTER_PROVIDER CLUSTER_CONTEXT KUBECONFIG SOPS_PGP_KEY SOPS_PGP_KEY_FILE SOPS_EDITOR',
    'NODE_OPTIONS NO_COLOR FORCE_COLOR COLUMNS TASKS_PACKAGES_INSTALLED TASKS_CALLED_IN TASKS_CALLED_AS GIT_INDEX_FILE',
  ].flatMap((names) => names.split(' ')),
);

/**
 * The variables that a program is started with: those of environments/variables.json. With others a shell runs something else
 * first (BASH_ENV), or a program works elsewhere (GIT_DIR, PGHOST, HELM_KUBEAPISERVER) or for a key that it need not know.
 */
export function passedOn(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const listed = listedNames();
  return Object.fromEntries(Object.entries(variables).filter(([name]) => listed.test(name)));
}

/** Of what is passed on or read, what holds paths, one or several. */
const pathVariables = [
  ...['KUBECONFIG', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'],
  ...['CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'GIT_SSL_CAINFO', 'GIT_INDEX_FILE'],
];

/**
 * Changes the variables that this process was started with into ones that it and every program it calls can work with. `folder`
 * is the project's: `.home` in it becomes the home of a user who has none. Throws when the list of names cannot be read.
 */
export function settleVariables(variables: NodeJS.ProcessEnv, folder: string): void {
  const listed = listedNames();
  for (const name of Object.keys(variables)) {
    if (listed.test(name) || forTasks.test(name)) continue;
    delete variables[name];
    leftOut.push(name);
  }
  // Programs start in several folders, `run` in the project's.
  const { TASKS_CALLED_IN: calledIn = process.cwd() } = variables;
  delete variables.TASKS_CALLED_IN;
  for (const name of pathVariables) {
    const paths = variables[name]?.split(delimiter) ?? [];
    if (variables[name])
      variables[name] = paths.map((path) => path && resolve(calledIn, path)).join(delimiter);
  }
  // As a shell does without one.
  variables.PATH ??= '/usr/local/bin:/usr/bin:/bin';
  // In this order Node takes the first that is set, without a look at it.
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) {
    const path = resolve(calledIn, variables[name] || 'none');
    if (variables[name] && may(path, constants.W_OK)) variables[name] = path;
    else delete variables[name];
  }
  variables.HOME ??= accountHome();
  if (!isHome(variables.HOME)) variables.HOME = join(folder, '.home');
}

/** Names of the variables that this process was started with and does without. */
export const leftOut: string[] = [];

/** Names of what a user has set, in `.env` as well, and no program is given; without what is for the tasks themselves. */
export const withheldNames = (variables: NodeJS.ProcessEnv): string[] => [
  ...leftOut,
  ...Object.keys(variables).filter((name) => !listedNames().test(name) && !forTasks.test(name)),
];

let listedOnce: RegExp | undefined;

function listedNames(): RegExp {
  if (listedOnce !== undefined) return listedOnce;
  const names: unknown[] = Object.values(JSON.parse(readFileSync(listFile, 'utf8'))).flat();
  const wrong = names.find((name) => !/^[A-Za-z_]\w*\*?$/.test(String(name)));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is not the name of a variable`);
  listedOnce = patternOf(names as string[]);
  return listedOnce;
}

function patternOf(names: readonly string[]): RegExp {
  return new RegExp(`^(?:${names.join('|').replaceAll('*', '.*')})$`);
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

/** False for a file as well: there is no `.` in it. */
function may(folder: string, mode: number): boolean {
  try {
    accessSync(`${folder}/.`, mode | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
