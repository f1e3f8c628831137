import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { type CheckInput, runCheck } from '../../../lib/verification/run-check.ts';
import { type RealPostgresql, realPostgresql } from './real-postgresql.ts';

const projectFolder = fileURLToPath(new URL('../../..', import.meta.url));
const program = join(projectFolder, 'docker', 'backend-verification', 'verify.mjs');
const password = 'p=ss "wörd" $(1)';

const good = {
  DB_HOST: 'postgresql.database.invalid',
  DB_PORT: '5432',
  DB_NAME: 'postgres',
  DB_USER: 'postgres',
  DB_PASSWORD: password,
};

const test = suite<{ postgresql: RealPostgresql; folder: string }>('backend verification');

// A test, not a hook: uvu ignores an error in `before` and exits with 0.
test('a real PostgreSQL starts', async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'verification-'));
  context.postgresql = await realPostgresql('postgres', password);
});
test.after(async ({ postgresql, folder }) => {
  await postgresql?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** Runs verify.mjs like the Job. */
async function verify(settings: Record<string, string>) {
  const env = { PATH: process.env.PATH, ...settings };
  const output = await ended(spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  assert.not.match(output.stdout + output.stderr, password);
  assert.is(output.stderr, '');
  return { code: output.exitCode, lines: output.stdout.trimEnd().split('\n') };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** A backend like traefik/whoami while the body runs. */
async function withBackend(handler: RequestListener, body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(handler);
  const port = await listen(server);
  try {
    await body(`http://127.0.0.1:${port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const whoami =
  (environment: Record<string, string>): RequestListener =>
  (request, response) => {
    const { searchParams, pathname } = new URL(request.url ?? '', 'http://backend');
    const environ = Object.entries({ PATH: '/', ...environment }).map(([name, value]) => `${name}=${value}`);
    if (pathname !== '/api') response.statusCode = 404;
    response.end(
      JSON.stringify({ hostname: 'pod', ...(searchParams.get('env') === 'true' ? { environ } : {}) }),
    );
  };

const check = (input: Partial<CheckInput>) => runCheck({ projectFolder, environment: good, ...input });

test('a backend with good variables is ok, with its own database address', async ({ postgresql, folder }) => {
  const message = join(folder, 'good');
  const environment = { ...good, DB_HOST: '127.0.0.1', DB_PORT: String(postgresql.port) };
  await withBackend(whoami(environment), async (url) => {
    const { code, lines } = await verify({ BACKEND_URL: `${url}/`, TERMINATION_MESSAGE_PATH: message });
    const said = ['ok backend', 'ok database variables', 'ok database login'];
    assert.equal([code, ...lines], [0, ...said]);
    assert.is(await readFile(message, 'utf8'), said.join('\n'));
  });
});

test('a wrong password fails with the server’s own reason', async ({ postgresql, folder }) => {
  const message = join(folder, 'termination');
  await withBackend(whoami({ ...good, DB_PASSWORD: 'not-the-one' }), async (url) => {
    const settings = { DATABASE_ADDRESS: postgresql.address, TERMINATION_MESSAGE_PATH: message };
    const { code, lines } = await verify({ BACKEND_URL: url, ...settings });
    const failure = 'FAILED database login: password authentication failed for user "postgres"';
    assert.equal([code, ...lines], [1, 'ok backend', 'ok database variables', failure]);
    assert.is(await readFile(message, 'utf8'), failure);
  });
});

test('every problem of the variables is named, without values', async ({ postgresql, folder }) => {
  const message = join(folder, 'variables');
  await withBackend(whoami({ DB_PORT: '54x32', DB_USER: '' }), async (url) => {
    const settings = { DATABASE_ADDRESS: postgresql.address, TERMINATION_MESSAGE_PATH: message };
    const { code, lines } = await verify({ BACKEND_URL: url, ...settings });
    const failures = [
      'FAILED database variables: DB_HOST is missing',
      'FAILED database variables: DB_PORT is not a port number',
      'FAILED database variables: DB_NAME is missing',
      'FAILED database variables: DB_USER is empty',
      'FAILED database variables: DB_PASSWORD is missing',
      'FAILED database login: not tried, the database variables are not complete',
    ];
    assert.equal([code, ...lines], [1, 'ok backend', ...failures]);
    assert.is(await readFile(message, 'utf8'), failures.join('\n'));
  });
});

test('a database that is down gives "refused", a silent one "timeout"', async () => {
  const nobody = await freePort();
  const refused = await check({ databaseAddress: `127.0.0.1:${nobody}` });
  assert.equal(refused.failures, [
    { check: 'database login', reason: `connect ECONNREFUSED 127.0.0.1:${nobody}` },
  ]);

  const silent = createTcpServer((socket) => socket.unref());
  const port = await listen(silent);
  await withBackend(whoami(good), async (url) => {
    const settings = { DATABASE_ADDRESS: `127.0.0.1:${port}`, DATABASE_TIMEOUT_SECONDS: '0.2' };
    const { code, lines } = await verify({ BACKEND_URL: url, ...settings });
    assert.is(code, 1);
    assert.match(lines.at(-1) ?? '', /^FAILED database login: .*timeout/);
  });
  silent.close();
});

test('a 500 of the backend is final and reported as such', () =>
  withBackend(
    (_, response) => response.writeHead(500).end(`secret ${password}`),
    async (url) => {
      const { code, lines } = await verify({ BACKEND_URL: url });
      assert.equal(
        [code, ...lines],
        [
          1,
          `FAILED backend: GET ${url}/api?env=true: HTTP 500`,
          'FAILED database variables: not tried, the variables are not known',
          'FAILED database login: not tried, the variables are not known',
        ],
      );
    },
  ));

test('a backend that never starts fails after the time limit', async () => {
  const port = await freePort();
  const { code, lines } = await verify({
    BACKEND_URL: `http://127.0.0.1:${port}`,
    BACKEND_TIMEOUT_SECONDS: '0.4',
  });
  assert.is(code, 1);
  assert.is(
    lines[0],
    `FAILED backend: GET http://127.0.0.1:${port}/api?env=true: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
});

test('a backend that is still starting is retried', async ({ postgresql }) => {
  let asked = 0;
  const starting: RequestListener = (request, response) => {
    asked += 1;
    if (asked === 1) request.socket.destroy();
    else if (asked === 2) response.writeHead(503).end();
    else whoami(good)(request, response);
  };
  await withBackend(starting, async (url) => {
    const { code } = await verify({ BACKEND_URL: url, DATABASE_ADDRESS: postgresql.address });
    assert.equal([code, asked], [0, 3]);
  });
});

const answers: [string, string, string][] = [
  ['not JSON', `{"environ": ["DB_PASSWORD=${password}"`, 'the environment is not JSON'],
  ['without variables', '{"hostname":"x"}', 'the answer of the backend has no `environ` list'],
];
for (const [name, text, reason] of answers) {
  test(`an answer that is ${name} is reported without showing it`, () =>
    withBackend(
      (_, response) => response.end(text),
      async (url) => assert.is((await verify({ BACKEND_URL: url })).lines[0], `FAILED backend: ${reason}`),
    ));
}

test('wrong settings are failures that say what was expected', async () => {
  assert.is(
    (await verify({})).lines[0],
    'FAILED environment: Expected BACKEND_URL or ENVIRONMENT_FILE to be set',
  );
  const timeout = { BACKEND_URL: 'http://127.0.0.1:1', BACKEND_TIMEOUT_SECONDS: 'soon' };
  const expected = 'Expected BACKEND_TIMEOUT_SECONDS to be a number of seconds above 0';
  assert.is((await verify(timeout)).lines[0], `FAILED backend: ${expected}`);
  const { failures } = await check({ databaseAddress: 'somewhere' });
  assert.equal(failures, [{ check: 'database login', reason: 'Expected DATABASE_ADDRESS to be host:port' }]);
});

test('the environment may come from a file', async ({ folder, postgresql }) => {
  const file = join(folder, 'environment.json');
  await writeFile(file, JSON.stringify(good));
  const { lines } = await verify({ ENVIRONMENT_FILE: file, DATABASE_ADDRESS: postgresql.address });
  assert.equal(lines, ['ok environment', 'ok database variables', 'ok database login']);
  await writeFile(file, '[]');
  assert.is(
    (await verify({ ENVIRONMENT_FILE: file })).lines[0],
    'FAILED environment: ENVIRONMENT_FILE is not a JSON object',
  );
});

test('runCheck: passes good variables, and nothing from our own environment', async ({ postgresql }) => {
  process.env.PGPASSWORD = 'foreign';
  process.env.PGDATABASE = 'foreign';
  const result = await check({ databaseAddress: postgresql.address });
  assert.equal(result, {
    ok: true,
    lines: ['ok environment', 'ok database variables', 'ok database login'],
    failures: [],
  });
});

test('runCheck: a program that cannot start or takes too long is a failure', async ({ folder }) => {
  const gone = await check({ projectFolder: folder });
  assert.is(gone.ok, false);
  assert.match(gone.failures[0]?.reason ?? '', /^ended with 1: Error: Cannot find module/);

  const silent = createTcpServer((socket) => socket.unref());
  const port = await listen(silent);
  const slow = await check({ databaseAddress: `127.0.0.1:${port}`, timeoutMs: 400 });
  silent.close();
  assert.equal(slow.failures, [{ check: 'verification program', reason: 'no result within 0.4 s' }]);
  assert.is(slow.ok, false);
});

test('runCheck: a stopped run ends the program and rejects with the reason', async () => {
  const controller = new AbortController();
  const server = createTcpServer(() => controller.abort(new Error('stopped')));
  const port = await listen(server);
  let message = '';
  await check({ databaseAddress: `127.0.0.1:${port}`, signal: controller.signal }).catch((error) => {
    message = error.message;
  });
  server.close();
  assert.is(message, 'stopped');
});

test.run();
