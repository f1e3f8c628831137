import { TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LoginRole } from '../../../lib/database/roles.ts';
import { loginProblem } from '../../../lib/operations/database.ts';

const role = (name: string, kind: LoginRole['kind']): LoginRole => ({
  ...{ name, kind, database: name, secret: { file: 'database.yaml', key: name } },
});
const roles = [role('postgres', 'superuser'), role('app2', 'application'), role('vault', 'issuer')];
const open = async ({ name }: LoginRole): Promise<string> => `of ${name}`;

const refusing = (...names: string[]) =>
  loginProblem(roles, open, async ({ name }, password) => {
    assert.is(password, `of ${name}`);
    return !names.includes(name);
  });

test('each login with a password in the file is tried, and refused ones are named', async () => {
  assert.is(await refusing(), undefined);
  const advice =
    'run `npx tsx tasks.ts rotate-database-password`, or `npx tsx tasks.ts install-app postgresql` if the role is new';
  assert.is(await refusing('app2'), `refuses the password of the encrypted file for app2: ${advice}`);
  assert.match((await refusing('app2', 'vault')) ?? '', 'for app2, vault: ');
});

test('without the superuser only a rotation helps', async () => {
  const told = 'refuses the password of the encrypted file: run `npx tsx tasks.ts rotate-database-password`';
  assert.is(await refusing('postgres', 'app2'), told);
});

test('an unreadable file is reported; a silent server is not a refusal', async () => {
  const damaged = async (): Promise<string> => {
    throw new TaskError({ what: 'database.yaml is damaged' });
  };
  const accepts = async () => true;
  assert.is(
    await loginProblem(roles, damaged, accepts),
    'its passwords cannot be checked: database.yaml is damaged',
  );
  const silent = async (): Promise<boolean> => {
    throw new Error('timeout');
  };
  assert.is(await loginProblem(roles, open, silent), 'its passwords cannot be checked: timeout');
});

test.run();
