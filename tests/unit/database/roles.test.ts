import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loginRoles, selectRoles } from '../../../lib/database/roles.ts';
import { statementsOf } from '../../../lib/database/set-up.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { secretKey } from '../../../lib/settings/secret-reference.ts';

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
  assert.equal(names('superuser'), ['postgres']);
  assert.equal(names('postgres'), ['postgres']);
  assert.equal(names('vault'), ['vault']);
  for (const other of ['app1', 'gone', 'app3']) {
    const said = new RegExp(`unknown role \`${other}\`: possible: all, superuser, app2, vault; `);
    assert.throws(() => names(other), said);
  }
});

test('SQL is split at line ends, as psql does', () => {
  assert.equal(statementsOf("-- one; two;\nSET a = 'b';\nSELECT format('x;')\n  WHERE true \\gexec\n\n"), [
    { sql: "SET a = 'b'", givesStatements: false },
    { sql: "SELECT format('x;')\n  WHERE true", givesStatements: true },
  ]);
  assert.throws(() => statementsOf('SELECT 1'), /Expected the last statement to end/);
});

test.run();
