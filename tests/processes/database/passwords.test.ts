import { mkdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { loginRoles } from '../../../lib/database/roles.ts';
import { databaseProblem } from '../../../lib/operations/servers.ts';
import { checkOthers, readRotation, replaceInServer } from '../../../lib/rotation/passwords.ts';
import { rotatePasswords } from '../../../lib/rotation/rotate.ts';
import { context, forwarding, listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('passwords of the database', 'minikube', 'environments');
const refused = '28P01';

/** What status says of a database that answers each of these passwords so, and accepts others. */
async function problemWith(answers: { readonly [password: string]: string }, sops?: string) {
  // A keyring: without one, nothing can be decrypted.
  mkdirSync(context.environment.gnupgHome, { recursive: true });
  const passwords = { password: 'of postgres', app2Password: 'of app2', vaultPassword: 'of vault' };
  project.script('sops', sops ?? printing(passwords));
  const port = await scriptedPostgresql(context, (password) => answers[password] ?? 'accepted');
  project.script('kubectl', forwarding(port));
  return databaseProblem(context);
}

const rotate = 'run `npx tsx tasks.ts rotate-database-password`';

test('each login with a password in the file is tried, and refused ones are named', async () => {
  const advice = `${rotate}, or \`npx tsx tasks.ts install-app postgresql\` if the role is new`;
  const refuses = 'refuses the password of the encrypted file';
  for (const [answers, problem] of [
    [{}, undefined],
    [{ 'of app2': refused }, `${refuses} for app2: ${advice}`],
    [{ 'of app2': refused, 'of vault': refused }, `${refuses} for app2, vault: ${advice}`],
    // Without the superuser only a rotation helps.
    [{ 'of postgres': refused, 'of app2': refused }, `${refuses}: ${rotate}`],
    // A lost connection is not a refusal.
    [{ 'of app2': 'lost' }, 'its passwords cannot be checked: read ECONNRESET'],
  ] as const)
    assert.is(await problemWith(answers), problem);
  assert.match((await problemWith({}, 'exit 1')) ?? '', /^its passwords cannot be checked: .*database.yaml/);
});

/** Changes the superuser's password in a server that answers each password so; returns also what it was given. */
async function replaced(answer: (password: string, login: number) => string, statement?: string) {
  const given: string[] = [];
  const login = (password: string) => {
    // The readiness check has none.
    if (password === '') return refused;
    given.push(password);
    return answer(password, given.length);
  };
  const port = await scriptedPostgresql(context, login, statement);
  const secret = { data: { password: Buffer.from('installed').toString('base64') } };
  project.script(
    'sops',
    printing({ password: 'of the file', app2Password: 'of app2', vaultPassword: 'of vault' }),
  );
  project.script('kubectl', { 'port-forward': forwarding(port), '': listing(secret) });
  const rotation = { postgres: { old: 'old', new: 'new' } };
  let changed = false;
  const onChange = () => {
    changed = true;
  };
  const failure = await failureOf(replaceInServer(context, loginRoles(context.settings), rotation, onChange));
  return { changed, failure, given };
}

test('every known password is tried over a forward of its own, again if that is lost', async () => {
  const { changed, failure, given } = await replaced((_, login) => (login === 1 ? 'lost' : refused));
  assert.is(failure.what, 'the database refuses every known password of `postgres`');
  assert.is(changed, false);
  assert.equal(given, ['old', 'old', 'new', 'of the file', 'installed']);
  assert.is(project.calls('port-forward').length, 2 * given.length, 'one to wait, one to log in');
});

const failed = 'the passwords could not be changed in the database';

test('a connection that is lost three times is an error, and nothing was changed', async () => {
  const { changed, failure, given } = await replaced(() => 'lost');
  assert.is(failure.what, failed);
  assert.match(failure.why, 'ECONNRESET');
  assert.equal([changed, given], [false, ['old', 'old', 'old']]);
  // Nor does it mean that a role which is not rotated has another password.
  await fails(checkOthers(context, loginRoles(context.settings)), { what: failed, why: /ECONNRESET/ });
});

test('a rotation that fails before it changes anything is not unfinished', async () => {
  project.script(
    'sops',
    printing({ password: 'of postgres', app2Password: 'of app2', vaultPassword: 'of vault' }),
  );
  project.script('kubectl', 'echo no cluster >&2; exit 1');
  await fails(rotatePasswords(context, 'all'), { why: /no cluster/ });
  assert.equal(await readRotation(context.environment), {});
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
  // A role that somebody dropped is set up, with a login of its own.
  const { changed, given } = await replaced(() => 'accepted', '42704');
  assert.equal([changed, given.length], [true, 3]);
});

test.run();
