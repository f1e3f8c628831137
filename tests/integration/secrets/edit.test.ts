import { existsSync } from 'node:fs';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { PseudoTerminal } from '../../../lib/runner/tests/rig/pseudo-terminal.ts';
import { makeSandbox, readText, type Sandbox } from '../sandbox.ts';
import { openedBy } from './keyring.ts';

const test = suite('edit-secrets');
let sandbox: Sandbox;
let key: string;

const file = 'environments/development/secrets/database.yaml';

test.before(async () => {
  sandbox = await makeSandbox();
  key = sandbox.path('sops/development-operational.asc');
});
test.after(() => sandbox.remove('development'));

/** Runs the task on a terminal, with a shell script as the editor: `$1` is the decrypted file. */
async function edit(script: string, variable = 'VISUAL'): Promise<{ exitCode: number | null; text: string }> {
  const path = `${sandbox.home}/editor`;
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const { EDITOR: _, VISUAL: __, SOPS_EDITOR: ___, ...env } = sandbox.env;
  const terminal = new PseudoTerminal('./run edit-secrets', {
    cwd: sandbox.folder,
    env: { ...(env as Record<string, string>), EDITOR: 'false', [variable]: path },
  });
  const exitCode = await terminal.exit;
  return { exitCode, text: terminal.text.replaceAll('\r', '') };
}

const values = async (): Promise<Record<string, string>> =>
  parse((await openedBy(sandbox, [key], file)) ?? '{}') as Record<string, string>;

/** Nothing decrypted is left in the state, not even what the editor put beside its file. */
const nothingLeft = (): void => assert.not.ok(existsSync(sandbox.path('.state/development/edit')));

test('without a terminal it fails first and says what to do instead', async () => {
  const { exitCode, stderr } = await sandbox.task('edit-secrets');
  assert.is(exitCode, 2);
  assert.match(stderr, /^error: an editor needs a terminal\n.*\n {2}do: .*sops set --value-stdin /);
  assert.not.ok(existsSync(sandbox.path('.state')));
});

test('a file that no environment has, or that this one lacks, is an error', async () => {
  const unknown = await sandbox.task('edit-secrets', 'databse.yaml');
  assert.is(unknown.exitCode, 2);
  assert.match(unknown.stderr, /unknown secrets file `databse\.yaml`[\s\S]*database\.yaml/);
  await cp(sandbox.path(file), sandbox.path('environments/staging/secrets/other.yaml'));
  const missing = await sandbox.task('edit-secrets', 'other.yaml');
  assert.is(missing.exitCode, 2);
  assert.match(
    missing.stderr,
    /`development` has no secrets file `other\.yaml`\n {2}why: it has database\.yaml\n/,
  );
});

test('the edited file is encrypted, and the text readable by the editor alone', async () => {
  const before = await values();
  const note = `${sandbox.home}/note`;
  const script = `
    printf '%s %s\\n' "$(stat -c %a "$1")" "$(stat -c %a "$TMPDIR")" > ${note}
    printf '%s\\n' "$1" >> ${note}
    cp "$1" "$1~"; cp "$1" "$TMPDIR/.swap"
    echo 'added: something new' >> "$1"`;
  const { exitCode, text } = await edit(script);
  assert.is(exitCode, 0, text);
  assert.match(text, `nothing uses the changed values of ${file} yet`);
  assert.equal(await values(), { ...before, added: 'something new' });
  assert.not.match(await readText(sandbox.path(file)), 'something new');
  const [modes, place = ''] = (await readText(note)).split('\n');
  assert.is(modes, '600 700');
  assert.ok(place.startsWith(sandbox.path('.state/development/edit/')), place);
  nothingLeft();
  const { text: commented } = await edit('echo "# a comment" >> "$1"');
  assert.match(commented, `no value of ${file} has changed`);
});

for (const [key, said] of [
  [
    'vaultPassword',
    /to apply it to the cluster: `.* install-tier core`, then `.* init-vault`\n.*rotate-database-password.* generates/,
  ],
  [
    'app2Password',
    /to apply it to the cluster: `.* install-tier core`\n.*rotate-database-password.* generates/,
  ],
  [
    'password',
    /^an existing server keeps the superuser's password: put the old `password` back, then `.* rotate-database-password superuser` generates/m,
  ],
] as const)
  test(`the advice fits the change of ${key}`, async () => {
    const encrypted = await readText(sandbox.path(file));
    const { exitCode, text } = await edit(`sed -i 's/^${key}: .*/${key}: changed/' "$1"`);
    await writeFile(sandbox.path(file), encrypted);
    assert.is(exitCode, 0, text);
    assert.match(text, said);
    assert.is(text.includes('to apply it'), key !== 'password', text);
  });

for (const [script, what] of [
  ['/^app2Password/d', `${file} has no value \`app2Password\``],
  ['s/^vaultPassword: .*/vaultPassword: 0123/', `the value \`vaultPassword\` of ${file} is not a text`],
  ['s/^password: .*/password: "a\\tb"/', `the value \`password\` of ${file} cannot be a password`],
] as const)
  test(`what an install would refuse is refused at once: ${what}`, async () => {
    const encrypted = await readText(sandbox.path(file));
    const { exitCode, text } = await edit(`sed -i '${script}' "$1"`);
    await writeFile(sandbox.path(file), encrypted);
    assert.is(exitCode, 1, text);
    assert.match(text, `error: ${what}`);
    assert.match(text, /do: .* edit-secrets database\.yaml/);
  });

test('an editor that removes the file is named', async () => {
  const { exitCode, text } = await edit('rm "$1"');
  assert.is(exitCode, 1);
  assert.match(
    text,
    /error: the editor failed\n {2}why: it removed the text; .* was not changed\n {2}do: check the editor: /,
  );
});

test('a file that was not edited stays as it was; EDITOR counts, too', async () => {
  const before = await readText(sandbox.path(file));
  const { exitCode, text } = await edit('exit 0', 'EDITOR');
  assert.is(exitCode, 0, text);
  assert.match(text, `${file} was not changed`);
  assert.match(text, 'nothing changed');
  assert.is(await readText(sandbox.path(file)), before);
  nothingLeft();
});

test('an editor that fails changes nothing and leaves nothing', async () => {
  const before = await readText(sandbox.path(file));
  const { exitCode, text } = await edit('echo lost: 1 >> "$1"; exit 3');
  assert.is(exitCode, 1);
  assert.match(text, /error: the editor failed\n {2}why: .*was not changed\n/);
  assert.is(await readText(sandbox.path(file)), before);
  nothingLeft();
});

test('the next run removes what a killed one left, and damage is reported before the editor opens', async () => {
  const before = await readText(sandbox.path(file));
  // sops is killed and its decrypted file stays
  await edit('kill -9 $PPID');
  await writeFile(sandbox.path(file), before.replace(/data:\w{4}/, 'data:AAAA'));
  const { exitCode, text } = await edit('echo "the editor is open" > /dev/tty');
  assert.is(exitCode, 1);
  assert.match(text, `error: ${file} is damaged`);
  assert.not.match(text, 'the editor is open');
  await writeFile(sandbox.path(file), before);
  nothingLeft();
  assert.not.ok((await readdir(sandbox.path('.state/development'))).includes('edit'));
});

test.run();
