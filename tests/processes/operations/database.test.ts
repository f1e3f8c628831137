import { mkdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { databaseProblem } from '../../../lib/operations/database.ts';
import { context, forwarding, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';

const { test, project } = scriptedSuite('passwords of the database', 'minikube', 'environments');

test.before.each(() => {
  // A keyring: without one, nothing can be decrypted.
  mkdirSync(context.environment.gnupgHome, { recursive: true });
  const app2Password = 'of app2';
  project.script('sops', printing({ password: 'of postgres', app2Password, vaultPassword: 'of vault' }));
});

/** What status says of a database that answers each of these passwords so, and accepts others. */
async function problemWith(answers: { readonly [password: string]: string }) {
  const port = await scriptedPostgresql(context, (password) => answers[password] ?? 'accepted');
  project.script('kubectl', forwarding(port));
  return databaseProblem(context);
}

const rotate = 'run `npx tsx tasks.ts rotate-database-password`';

test('each login with a password in the file is tried, and refused ones are named', async () => {
  const refused = '28P01';
  const advice = `${rotate}, or \`npx tsx tasks.ts install-app postgresql\` if the role is new`;
  for (const [answers, problem] of [
    [{}, undefined],
    [{ 'of app2': refused }, `refuses the password of the encrypted file for app2: ${advice}`],
    [
      { 'of app2': refused, 'of vault': refused },
      `refuses the password of the encrypted file for app2, vault: ${advice}`,
    ],
    // Without the superuser only a rotation helps.
    [{ 'of postgres': refused, 'of app2': refused }, `refuses the password of the encrypted file: ${rotate}`],
  ] as const)
    assert.is(await problemWith(answers), problem);
});

test('an unreadable file is reported; a lost connection is not a refusal', async () => {
  assert.is(await problemWith({ 'of app2': 'lost' }), 'its passwords cannot be checked: read ECONNRESET');
  project.script('sops', 'exit 1');
  assert.match((await problemWith({})) ?? '', /^its passwords cannot be checked: .*database.yaml/);
});

test.run();
