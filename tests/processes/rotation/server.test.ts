import * as assert from 'uvu/assert';
import { loginRoles } from '../../../lib/database/roles.ts';
import { checkOthers, replaceInServer } from '../../../lib/rotation/server.ts';
import { context, forwarding, listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('passwords in the server', 'minikube', 'environments');

test.before.each(() => project.script('sops', printing({ password: 'of the file' })));

const secret = { data: { password: Buffer.from('installed').toString('base64') } };

/** Changes the superuser's password in a server that answers each password so; returns also what it was given. */
async function replaced(answer: (password: string, login: number) => string, statement?: string) {
  const given: string[] = [];
  const login = (password: string) => {
    // The readiness check has none.
    if (password === '') return '28P01';
    given.push(password);
    return answer(password, given.length);
  };
  const port = await scriptedPostgresql(context, login, statement);
  project.script('kubectl', { 'port-forward': forwarding(port), '': listing(secret) });
  const rotation = { postgres: { old: 'old', new: 'new' } };
  let changed = false;
  const onChange = () => {
    changed = true;
  };
  const failure = await failureOf(replaceInServer(context, loginRoles(context.settings), rotation, onChange));
  const forwards = project.calls().filter((call) => call.includes('port-forward')).length;
  return { changed, failure, given, forwards };
}

test('every known password is tried over a forward of its own, again if that is lost', async () => {
  const { changed, failure, given, forwards } = await replaced((_, login) =>
    login === 1 ? 'lost' : '28P01',
  );
  assert.is(failure.what, 'the database refuses every known password of `postgres`');
  assert.is(changed, false);
  assert.equal(given, ['old', 'old', 'new', 'of the file', 'installed']);
  assert.is(forwards, 2 * given.length, 'one to wait, one to log in');
});

test('a connection that is lost three times is an error, and nothing was changed', async () => {
  const { changed, failure, given } = await replaced(() => 'lost');
  assert.is(failure.what, 'the passwords could not be changed in the database');
  assert.match(failure.why, 'ECONNRESET');
  assert.equal([changed, given], [false, ['old', 'old', 'old']]);
});

test('unless the server refuses the new password, any failure counts as changed', async () => {
  for (const [statement, expected] of [
    ['lost', true],
    ['garbled', true],
    ['42501', false],
  ] as const) {
    const { changed } = await replaced(() => 'accepted', statement);
    assert.is(changed, expected, statement);
  }
});

test('a lost connection does not mean that a role which is not rotated has another password', async () => {
  const port = await scriptedPostgresql(context, (password) => (password === '' ? '28P01' : 'lost'));
  project.script('kubectl', forwarding(port));
  const checked = checkOthers(context, loginRoles(context.settings));
  const what = 'the passwords could not be changed in the database';
  await fails(checked, { what, why: /ECONNRESET/ });
});

test.run();
