import { createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLostConnection, isPostgresqlReady } from '../../../lib/database/login.ts';
import { loginRoles, passwordProblem, selectRoles } from '../../../lib/database/roles.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { secretKey } from '../../../lib/settings/secret-reference.ts';
import { portOf } from '../../rig/loopback.ts';

const settings = {
  database: {
    ...{ host: 'db', port: 5432, user: 'postgres', name: 'postgres', sslmode: 'verify-full' },
    applications: {
      app1: { password: '' },
      app2: { password: 'sops://database.yaml#/app2Password' },
      gone: null,
    },
    issuers: { vault: { password: 'sops://other.yaml#/vaultPassword' } },
  },
  releases: { postgresql: { password: 'sops://database.yaml#/password' } },
} as unknown as Settings;

test('roles with a password, the superuser first', () => {
  assert.equal(
    loginRoles(settings).map(({ name, kind, database, secret: { file, key } }) =>
      [name, kind, database, file, key].join(' '),
    ),
    [
      'postgres superuser postgres database.yaml password',
      'app2 application app2 database.yaml app2Password',
      'vault issuer postgres other.yaml vaultPassword',
    ],
  );
  const plain = { ...settings, releases: { postgresql: { password: 'in plain' } } } as unknown as Settings;
  assert.throws(() => loginRoles(plain), /releases.postgresql.password/);
  assert.is(secretKey(''), undefined);
});

test('a rotation covers all roles, the superuser by either name, or one role', () => {
  const names = (name: string) => selectRoles(loginRoles(settings), name).map((role) => role.name);
  assert.equal(names('all'), ['postgres', 'app2', 'vault']);
  assert.equal(['superuser', 'postgres', 'vault'].map(names), [['postgres'], ['postgres'], ['vault']]);
  for (const other of ['app1', 'gone', 'app3']) {
    const said = new RegExp(`unknown role \`${other}\`: possible: all, superuser, app2, vault; `);
    assert.throws(() => names(other), said);
  }
});

test('a password is a single line without trailing line break', () => {
  const long = 'x'.repeat(1000);
  for (const password of ['x', ' blanks ', "it's", '"', '$HOME', '%', '{{ x }}', 'ünïcode ✓', long])
    assert.is(passwordProblem(password), undefined, password);
  assert.is(passwordProblem(''), 'it is empty');
  for (const password of ['two\nlines', 'end\n', 'end\r\n', 'cut\0off', '\ttab', 'del\x7f'])
    assert.match(passwordProblem(password) ?? '', 'a line break or another control character', password);
});

test('a hash cannot be a password, a text that only resembles one can', () => {
  const scram = `SCRAM-SHA-256$4096:c2FsdA==$${'A'.repeat(43)}=:${'B'.repeat(43)}=`;
  for (const hash of [`md5${'0123456789abcdef'.repeat(2)}`, scram, scram.replace('4096', '1')])
    assert.match(passwordProblem(hash) ?? '', 'it looks like a hash', hash);
  const digits = 'a'.repeat(32);
  const md5s = [digits.toUpperCase(), digits.slice(1), `${digits}a`, ''].map((text) => `md5${text}`);
  for (const password of [...md5s, `MD5${digits}`, digits, 'SCRAM-SHA-256', scram.toLowerCase(), ` ${scram}`])
    assert.is(passwordProblem(password), undefined, password);
});

test('a port is not ready where nothing listens, or a server fails, has no TLS, closes or never answers', async () => {
  assert.is(await isPostgresqlReady('127.0.0.1', 1, 1000), false);
  for (const [answer, timeoutMs] of [
    [(socket: Socket) => socket.end('E...'), 60_000],
    [(socket: Socket) => socket.write('N'), 60_000],
    [(socket: Socket) => socket.end(), 60_000],
    [() => undefined, 1000],
  ] as const) {
    let asked = 0;
    const server = createServer((socket) => {
      socket.unref().on('error', () => undefined);
      socket.once('data', () => answer(socket)).once('data', () => asked++);
    }).unref();
    assert.is(await isPostgresqlReady('127.0.0.1', await portOf(server), timeoutMs), false, String(answer));
    // A busy machine may have asked nothing within the short time.
    assert.ok(asked === 1 || timeoutMs === 1000, String(answer));
  }
});

test('a lost connection is not mistaken for a refused login', () => {
  const lost = new Error('Connection terminated unexpectedly');
  const errors = [{ code: 'ECONNRESET' }, { code: 'ECONNREFUSED' }, lost, { code: '28P01' }];
  assert.equal(errors.map(isLostConnection), [true, true, true, false]);
});

test.run();
