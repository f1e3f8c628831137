// Checks a backend from outside: its environment has all database variables, and the database accepts a login with them.
// All checks run; each prints one line on stdout, `ok <check>` or `FAILED <check>: <reason>`. Exit code 0 if all are ok, else 1.
// The failures (or all results if none failed) also become the pod's termination message. No value is ever printed.
//
// Settings, from the environment:
//   BACKEND_URL               query the backend: GET <BACKEND_URL>/api?env=true, in the format of traefik/whoami
//   BACKEND_TIMEOUT_SECONDS   how long to wait for a backend that is still starting; default 60
//   ENVIRONMENT_FILE          instead of BACKEND_URL: a JSON object of the variables, `-` for stdin
//   DATABASE_ADDRESS          host:port to connect to instead of DB_HOST and DB_PORT, for a port-forward
//   DATABASE_AUTHORITY        CA of the server's certificate (PEM), instead of the file DB_SSLROOTCERT
//   DATABASE_TIMEOUT_SECONDS  for the connection, and the same for the query; default 10
//   TERMINATION_MESSAGE_PATH  default: /dev/termination-log if the kubelet created it

import { readFile, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { readEnvironment, reasonOf, seconds } from './environment.mjs';

/** @typedef {{ check: string, reason?: string }} Result `reason` only for a failure */
/** @typedef {import('./environment.mjs').Environment} Environment */

const needed = ['DB_HOST', 'DB_PORT', 'DB_NAME', 'DB_USER', 'DB_PASSWORD'];

/** @returns {Promise<Result[]>} */
async function verify() {
  /** @type {Environment} */
  let environment;
  const source = process.env.BACKEND_URL ? 'backend' : 'environment';
  try {
    environment = await readEnvironment();
  } catch (error) {
    const notTried = `not tried, the variables are not known`;
    return [
      { check: source, reason: reasonOf(error) },
      { check: 'database variables', reason: notTried },
      { check: 'database login', reason: notTried },
    ];
  }
  const problems = variableProblems(environment);
  const variables = problems.map((reason) => ({ check: 'database variables', reason }));
  return [
    { check: source },
    ...(variables.length > 0 ? variables : [{ check: 'database variables' }]),
    await login(environment, problems),
  ].map((result) => withoutSecret(result, environment.DB_PASSWORD));
}

/**
 * @param {Environment} environment
 * @returns {string[]}
 */
function variableProblems(environment) {
  return needed.flatMap((name) => {
    const value = environment[name];
    if (value === undefined) return [`${name} is missing`];
    if (value === '') return [`${name} is empty`];
    return name === 'DB_PORT' && portOf(value) === undefined ? [`${name} is not a port number`] : [];
  });
}

/**
 * @param {Environment} environment
 * @param {string[]} problems of the variables
 * @returns {Promise<Result>}
 */
async function login(environment, problems) {
  const check = 'database login';
  if (problems.length > 0) return { check, reason: 'not tried, the database variables are not complete' };
  try {
    const timeoutMs = seconds('DATABASE_TIMEOUT_SECONDS', 10) * 1000;
    const client = new pg.Client({
      ...databaseAddress(environment),
      ...(await encryption(environment)),
      user: environment.DB_USER,
      password: environment.DB_PASSWORD,
      database: environment.DB_NAME,
      application_name: 'backend-verification',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    // A broken connection also rejects the pending call; without a listener, its event would end the program.
    client.on('error', () => {});
    await client.connect();
    await client.query('SELECT 1');
    // Not awaited: even if the server hangs now, the login has succeeded.
    client.end().catch(() => {});
    return { check };
  } catch (error) {
    return { check, reason: reasonOf(error) };
  }
}

/**
 * TLS options for DB_SSLMODE: verify-full, or disable (the default). The modes in between would accept any server as the
 * database.
 *
 * @param {Environment} environment
 * @returns {Promise<{ ssl?: { ca: string, servername: string } }>}
 */
async function encryption(environment) {
  const mode = environment.DB_SSLMODE || 'disable';
  if (mode === 'disable') return {};
  if (mode !== 'verify-full') throw new Error('Expected DB_SSLMODE to be verify-full or disable');
  const ca = process.env.DATABASE_AUTHORITY || (await readFile(environment.DB_SSLROOTCERT ?? '', 'utf8'));
  return { ssl: { ca, servername: environment.DB_HOST ?? '' } };
}

/** @param {Environment} environment */
function databaseAddress(environment) {
  const address = process.env.DATABASE_ADDRESS;
  if (!address) return { host: environment.DB_HOST, port: portOf(environment.DB_PORT ?? '') };
  const end = address.lastIndexOf(':');
  const port = portOf(address.slice(end + 1));
  if (end < 1 || port === undefined) throw new Error('Expected DATABASE_ADDRESS to be host:port');
  return { host: address.slice(0, end).replace(/^\[(.*)\]$/, '$1'), port };
}

/** @param {string} text */
function portOf(text) {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535 ? Number(text) : undefined;
}

/**
 * @param {Result} result
 * @param {string | undefined} secret
 * @returns {Result}
 */
function withoutSecret(result, secret) {
  // Replacing a shorter one would garble the text and so reveal it.
  if (result.reason === undefined || secret === undefined || secret.length < 4) return result;
  return { ...result, reason: result.reason.replaceAll(secret, '***') };
}

/** @param {string[]} results */
async function leaveMessage(results) {
  const path = process.env.TERMINATION_MESSAGE_PATH;
  // `r+` does not create the file: outside a pod, /dev stays unchanged.
  const [file, flag] = path ? [path, 'w'] : ['/dev/termination-log', 'r+'];
  // The kubelet keeps 4096 bytes.
  await writeFile(file, Buffer.from(results.join('\n')).subarray(0, 4096), { flag }).catch(() => {});
}

const results = await verify();
const lines = results.map(({ check, reason }) =>
  reason === undefined ? `ok ${check}` : `FAILED ${check}: ${reason}`,
);
const failures = lines.filter((line) => line.startsWith('FAILED '));
await leaveMessage(failures.length > 0 ? failures : lines);
await new Promise((resolve) => {
  process.stdout.write(`${lines.join('\n')}\n`, resolve);
});
// All results are written; do not wait for a database connection that does not close.
process.exit(failures.length > 0 ? 1 : 0);
