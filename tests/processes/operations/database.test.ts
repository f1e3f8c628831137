import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { databaseProblem } from '../../../lib/operations/database.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';

const test = suite<{ context: CloneContext }>('passwords of the database');
const project = scriptedFolder('environments');

test.before.each(async (state) => {
  state.context = await project.context('minikube');
  // A keyring: without one, nothing can be decrypted.
  mkdirSync(state.context.environment.gnupgHome, { recursive: true });
  project.script(
    'sops',
    `echo '{"password": "of postgres", "app2Password": "of app2", "vaultPassword": "of vault"}'`,
  );
});
test.after(project.remove);

/** What status says of a database that answers each of these passwords so, and accepts others. */
async function problemWith(context: CloneContext, answers: { readonly [password: string]: string }) {
  const port = await scriptedPostgresql(context, (password) => answers[password] ?? 'accepted');
  project.script('kubectl', `echo 'Forwarding from 127.0.0.1:${port} -> 5432'; exec sleep 1000`);
  return databaseProblem(context);
}

const rotate = 'run `npx tsx tasks.ts rotate-database-password`';

test('each login with a password in the file is tried, and refused ones are named', async ({ context }) => {
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
    assert.is(await problemWith(context, answers), problem);
});

test('an unreadable file is reported; a lost connection is not a refusal', async ({ context }) => {
  assert.is(
    await problemWith(context, { 'of app2': 'lost' }),
    'its passwords cannot be checked: read ECONNRESET',
  );
  project.script('sops', 'exit 1');
  assert.match((await problemWith(context, {})) ?? '', /^its passwords cannot be checked: .*database.yaml/);
});

test.run();
