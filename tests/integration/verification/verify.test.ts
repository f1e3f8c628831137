import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CheckInput, runCheck } from '../../../lib/cluster/embedded/run-check.ts';
import { root } from '../../../lib/ground/project.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { portOf } from '../../rig/loopback.ts';
import { realPostgresql } from '../database/server.ts';

const password = 'p=ss "wörd" $(1)';
const good = {
  ...{ DB_HOST: 'postgresql.database.invalid', DB_PORT: '5432', DB_NAME: 'postgres' },
  ...{ DB_USER: 'postgres', DB_PASSWORD: password },
};

const test = suite('backend verification');
const folder = temporaryFolder();
const postgresql = await realPostgresql('postgres', password);
/** A privileged port, which no program takes by chance. */
const nobody = '127.0.0.1:2';

const listen = async (server: Server) => `127.0.0.1:${await portOf(server)}`;
const silent = await listen(createTcpServer());

test.after(postgresql.remove);

/** Lines of verify.mjs, run like in the Job: failures, or all of them, are its message. */
async function verify(settings: Record<string, string>): Promise<string[]> {
  const message = join(folder, 'message');
  const env = { PATH: process.env.PATH, DATABASE_ADDRESS: postgresql.address, ...settings };
  const child = spawn(process.execPath, [join(root, 'docker/backend-verification/verify.mjs')], {
    env: { ...env, TERMINATION_MESSAGE_PATH: message },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { exitCode, stdout, stderr } = await ended(child);
  const lines = stdout.trimEnd().split('\n');
  const failures = lines.filter((line) => line.startsWith('FAILED '));
  assert.equal([exitCode, stderr], [failures.length > 0 ? 1 : 0, '']);
  assert.is(await readFile(message, 'utf8'), (failures.length > 0 ? failures : lines).join('\n'));
  assert.not.match(stdout, password);
  return lines;
}

/** A backend like traefik/whoami with these variables. */
const whoami =
  (environment: Record<string, string>): RequestListener =>
  (request, response) => {
    const { searchParams, pathname } = new URL(request.url ?? '', 'http://backend');
    const environ = Object.entries({ PATH: '/', ...environment }).map(([name, value]) => `${name}=${value}`);
    if (pathname !== '/api') response.statusCode = 404;
    response.end(JSON.stringify(searchParams.get('env') === 'true' ? { environ } : {}));
  };

/** A backend that breaks the first connection, is not ready at the second, and then answers. */
function starting(): RequestListener {
  let asked = 0;
  return (request, response) => {
    asked += 1;
    if (asked === 1) request.socket.destroy();
    else if (asked === 2) response.writeHead(503).end();
    else whoami(good)(request, response);
  };
}

const passed = ['ok backend', 'ok database variables', 'ok database login'];
const [why, notTried] = ['not tried, the variables are not known', 'FAILED database'];
const unknown = [`${notTried} variables: ${why}`, `${notTried} login: ${why}`];
const noAddress = { DATABASE_ADDRESS: '' };
const own = { DB_HOST: '127.0.0.1', DB_PORT: postgresql.address.split(':')[1] as string };

for (const [title, backend, expected, settings = {}] of [
  ['good variables pass, with their own address', whoami({ ...good, ...own }), passed, noAddress],
  ['a backend that is still starting is asked again', starting(), passed],
  [
    'a wrong password fails with the server’s own reason',
    whoami({ ...good, DB_PASSWORD: 'not-the-one' }),
    [...passed.slice(0, 2), 'FAILED database login: password authentication failed for user "postgres"'],
  ],
  [
    'every problem of the variables is named, without values',
    whoami({ DB_PORT: '54x32', DB_USER: '' }),
    [
      'ok backend',
      ...['HOST is missing', 'PORT is not a port number', 'NAME is missing', 'USER is empty']
        .concat('PASSWORD is missing')
        .map((problem) => `FAILED database variables: DB_${problem}`),
      'FAILED database login: not tried, the database variables are not complete',
    ],
  ],
  [
    'a database that does not answer in time',
    whoami(good),
    [...passed.slice(0, 2), 'FAILED database login: timeout expired'],
    { DATABASE_ADDRESS: silent, DATABASE_TIMEOUT_SECONDS: '0.2' },
  ],
  [
    'an answer of 500 is final, and not shown',
    (_, response) => response.writeHead(500).end(`secret ${password}`),
    ['FAILED backend: GET URL/api?env=true: HTTP 500', ...unknown],
  ],
  [
    'an answer that is not JSON is not shown',
    (_, response) => response.end(`{"environ": ["DB_PASSWORD=${password}"`),
    ['FAILED backend: the environment is not JSON', ...unknown],
  ],
  [
    'an answer without variables',
    (_, response) => response.end('{"hostname":"x"}'),
    ['FAILED backend: the answer of the backend has no `environ` list', ...unknown],
  ],
] as [string, RequestListener, string[], Record<string, string>?][])
  test(title, async () => {
    const server = createServer(backend);
    const url = `http://${await listen(server)}`;
    const lines = await verify({ BACKEND_URL: `${url}/`, ...settings });
    assert.equal(lines.join('\n').replace(url, 'URL'), expected.join('\n'));
    server.closeAllConnections();
    server.close();
  });

test('a backend that never starts, and wrong settings, are failures', async () => {
  const file = join(folder, 'environment.json');
  await writeFile(file, '[]');
  const gone = `GET http://${nobody}/api?env=true: connect ECONNREFUSED ${nobody}`;
  const expected = 'Expected BACKEND_TIMEOUT_SECONDS to be a number of seconds above 0';
  for (const [settings, failure] of [
    [{ BACKEND_URL: `http://${nobody}`, BACKEND_TIMEOUT_SECONDS: '0.4' }, `backend: ${gone}`],
    [{ BACKEND_URL: `http://${nobody}`, BACKEND_TIMEOUT_SECONDS: 'soon' }, `backend: ${expected}`],
    [{}, 'environment: Expected BACKEND_URL or ENVIRONMENT_FILE to be set'],
    [{ ENVIRONMENT_FILE: file }, 'environment: ENVIRONMENT_FILE is not a JSON object'],
  ] as const)
    assert.is((await verify(settings))[0], `FAILED ${failure}`);
});

const check = (input: Partial<CheckInput>) => runCheck({ projectFolder: root, environment: good, ...input });

test('a local check gets the variables, and nothing of our own environment', async () => {
  Object.assign(process.env, { PGPASSWORD: 'foreign', PGDATABASE: 'foreign' });
  const lines = ['ok environment', ...passed.slice(1)];
  assert.equal(await check({ databaseAddress: postgresql.address }), { ok: true, lines });
});

test('a local check fails with the reason of the login or of the program', async () => {
  for (const [input, failure] of [
    [{ databaseAddress: nobody }, `database login: connect ECONNREFUSED ${nobody}`],
    [{ databaseAddress: 'somewhere' }, 'database login: Expected DATABASE_ADDRESS to be host:port'],
    [{ databaseAddress: silent, timeoutMs: 400 }, 'verification program: no result within 0.4 s'],
    [{ projectFolder: folder }, 'verification program: ended with 1: Error: Cannot find module'],
  ] as const) {
    const { ok, lines } = await check(input);
    const failures = lines.filter((line) => line.startsWith('FAILED '));
    assert.equal([ok, failures.length], [false, 1]);
    assert.ok(failures[0]?.startsWith(`FAILED ${failure}`), failures[0]);
  }
});

test('a stopped run ends a local check and rejects with the reason', async () => {
  const controller = new AbortController();
  const databaseAddress = await listen(createTcpServer(() => controller.abort(new Error('stopped'))));
  const stopped = check({ databaseAddress, signal: controller.signal });
  assert.is(await stopped.catch(({ message }: Error) => message), 'stopped');
});

test.run();
