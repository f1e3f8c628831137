import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loginRoles } from '../../../lib/database/roles.ts';
import { checkOthers, replaceInServer } from '../../../lib/rotation/server.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite<{ context: CloneContext }>('passwords in the server');
const project = scriptedFolder('environments');

test.before.each(async (state) => {
  state.context = await project.context('minikube');
  mkdirSync(state.context.environment.state, { recursive: true });
  project.script('sops', `echo '{"password": "of the file"}'`);
  project.forget();
});
test.after(project.remove);

const secret = { data: { password: Buffer.from('installed').toString('base64') } };

/** Changes the superuser's password in a server that answers each password so; returns also what it was given. */
async function replaced(
  context: CloneContext,
  answer: (password: string, login: number) => string,
  statement?: string,
) {
  const given: string[] = [];
  const login = (password: string) => {
    // The readiness check has none.
    if (password === '') return '28P01';
    given.push(password);
    return answer(password, given.length);
  };
  const port = await scriptedPostgresql(context, login, statement);
  project.script(
    'kubectl',
    `case "$*" in *port-forward*) echo 'Forwarding from 127.0.0.1:${port} -> 5432'; exec sleep 1000;; *) echo '${JSON.stringify({ items: [secret] })}';; esac`,
  );
  const rotation = { postgres: { old: 'old', new: 'new' } };
  const { changed, failure } = await replaceInServer(context, loginRoles(context.settings), rotation);
  const forwards = project.calls().filter((call) => call.includes('port-forward')).length;
  return { changed, failure, given, forwards };
}

test('every known password is tried over a forward of its own, again if that is lost', async ({
  context,
}) => {
  const { changed, failure, given, forwards } = await replaced(context, (_, login) =>
    login === 1 ? 'lost' : '28P01',
  );
  assert.is(failure?.what, 'the database refuses every known password of `postgres`');
  assert.is(changed, false);
  assert.equal(given, ['old', 'old', 'new', 'of the file', 'installed']);
  assert.is(forwards, 2 * given.length, 'one to wait, one to log in');
});

test('a connection that is lost three times is an error, and nothing was changed', async ({ context }) => {
  const { changed, failure, given } = await replaced(context, () => 'lost');
  assert.is(failure?.what, 'the passwords could not be changed in the database');
  assert.match(failure?.why ?? '', 'ECONNRESET');
  assert.equal([changed, given], [false, ['old', 'old', 'old']]);
});

test('unless the server refuses the new password, any failure counts as changed', async ({ context }) => {
  for (const [statement, expected] of [
    ['lost', true],
    ['garbled', true],
    ['42501', false],
  ] as const) {
    const { changed, failure } = await replaced(context, () => 'accepted', statement);
    assert.is(changed, expected, statement);
    assert.ok(failure);
  }
});

test('roles that are not rotated must have the password of the encrypted file', async ({ context }) => {
  project.script('sops', `echo '{"password": "new", "app2Password": "old", "vaultPassword": "new"}'`);
  const others = loginRoles(context.settings);
  const check = async (answer: (password: string) => string) => {
    const port = await scriptedPostgresql(context, answer);
    project.script('kubectl', `echo 'Forwarding from 127.0.0.1:${port} -> 5432'; exec sleep 1000`);
    return checkOthers(context, others);
  };
  await check((password) => (password === '' ? '28P01' : 'accepted'));
  const refused = await failureOf(check((password) => (password === 'new' ? 'accepted' : '28P01')));
  assert.is(refused.what, 'the database refuses the encrypted password of app2');
  assert.match(refused.advice ?? '', 'git pull');
  const lost = await failureOf(check((password) => (password === '' ? '28P01' : 'lost')));
  assert.is(lost.what, 'the passwords could not be changed in the database');
});

test.run();
