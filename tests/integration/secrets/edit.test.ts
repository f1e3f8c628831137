import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PseudoTerminal } from '../../../lib/runner/tests/rig/pseudo-terminal.ts';
import { importKeys } from '../../../lib/secrets/keyring.ts';
import { settledContext } from '../../rig/task-context.ts';
import { makeSandbox, readText } from '../sandbox.ts';
import { openedBy } from './keyring.ts';

const test = suite('edit-secrets');
const sandbox = await makeSandbox();
sandbox.removeAfter(test, 'development');

const file = 'environments/development/secrets/database.yaml';
const encrypted = await readText(sandbox.path(file));

const broken = 'echo "no: valid: YAML" >> "$1"';

/**
 * What the task prints on a terminal, with a shell script as the editor: `$1` is the decrypted file. Nothing decrypted
 * may stay, not even what the editor put beside its file.
 */
async function edit(script: string, exitCode = 0, variable = 'VISUAL', name = 'editor'): Promise<string> {
  const path = `${sandbox.home}/${name}`;
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const { EDITOR: _, VISUAL: __, SOPS_EDITOR: ___, ...env } = sandbox.env;
  const terminal = new PseudoTerminal('./run edit-secrets', {
    cwd: sandbox.folder,
    env: { ...env, EDITOR: 'false', [variable]: path },
  });
  if (script === broken) {
    await terminal.shows('Ctrl+C to exit');
    terminal.type('\u0003');
  }
  assert.is(await terminal.exit, exitCode, terminal.text);
  assert.not.ok(existsSync(sandbox.path('.state/development/edit')));
  return terminal.text.replaceAll('\r', '');
}

const opened = () => openedBy(sandbox, [sandbox.path('sops/development-operational.asc')], file);

test('no terminal, and a file that no environment or not this one has, are errors', async () => {
  const { exitCode, stderr } = await sandbox.task('edit-secrets');
  assert.is(exitCode, 2);
  assert.match(stderr, /^error: an editor needs a terminal\n.*\n {2}do: .*sops set --value-stdin /);
  assert.not.ok(existsSync(sandbox.path('.state')));
  await cp(sandbox.path(file), sandbox.path('environments/staging/secrets/other.yaml'));
  for (const [name, said] of [
    ['databse.yaml', /has no secrets file `databse\.yaml`\n.*\n {2}do: did you mean `database\.yaml`/i],
    ['other.yaml', /`development` has no secrets file `other\.yaml`\n {2}why: it has database\.yaml\n/],
  ] as const)
    await sandbox.refuses(['edit-secrets', name], 2, said);
  for (const name of ['database', 'database.yaml', 'environments/development/secrets/database.yaml'])
    assert.match(
      (await sandbox.task('edit-secrets', name, '--dry-run')).stdout,
      / sops edit \S*\/database\.yaml\n/,
    );
});

test('the edited file is encrypted, and the text readable by the editor alone', async () => {
  const before = await opened();
  const note = `${sandbox.home}/note`;
  const text = await edit(`
    printf '%s %s\\n' "$(stat -c %a "$1")" "$(stat -c %a "$TMPDIR")" > ${note}
    printf '%s\\n' "$1" >> ${note}
    cp "$1" "$1~"; cp "$1" "$TMPDIR/.swap"
    echo 'added: something new' >> "$1"`);
  assert.match(text, `nothing uses the changed values of ${file} yet`);
  assert.is(await opened(), `${before}added: something new\n`);
  assert.not.match(await readText(sandbox.path(file)), 'something new');
  const [modes, place = ''] = (await readText(note)).split('\n');
  assert.is(modes, '600 700');
  assert.ok(place.startsWith(sandbox.path('.state/development/edit/')), place);
  assert.match(
    await edit('text="# a comment\n$(tac "$1")"; echo "$text" > "$1"'),
    `no value of ${file} has changed`,
  );
});

const set = (key: string, value: string) => `sed -i 's/^${key}: .*/${key}: ${value}/' "$1"`;
const other = String.raw`\n.*rotate-database-password.* generates`;
for (const [title, script, said] of [
  [
    'the advice for a password of Vault',
    set('vaultPassword', 'changed'),
    `to apply it to the cluster: .* install-tier core\`, then .* init-vault\`${other}`,
  ],
  [
    'the advice for the password of an application',
    set('app2Password', 'changed'),
    `to apply it to the cluster: \`.* install-tier core\`${other}`,
  ],
  [
    'the advice for the superuser’s password',
    set('password', 'changed'),
    "\nan existing server keeps the superuser's password: put the old `password` back, then `.* rotate-database-password superuser` generates(?![\\s\\S]*to apply it)",
  ],
  [
    'an install would miss a value',
    `sed -i '/^app2Password/d' "$1"`,
    `error: ${file} has no value \`app2Password\`\n.*why: .*; the text was saved,`,
  ],
  [
    'an install would refuse what is no text',
    set('vaultPassword', '0123'),
    `error: the value \`vaultPassword\` of ${file} is not a text\n`,
  ],
  [
    'an install would refuse the password',
    set('password', '"a\\tb"'),
    `error: the value \`password\` of ${file} cannot be a password\n`,
  ],
] as const)
  test(`after a change: ${title}`, async () => {
    await writeFile(sandbox.path(file), encrypted);
    const isError = said.startsWith('error');
    const text = await edit(script, isError ? 1 : 0);
    assert.match(text, new RegExp(said));
    if (isError) assert.match(text, /\n {2}do: .* edit-secrets database\.yaml/);
  });

test('what an editor left unchanged, or failed with, stays as it was; EDITOR counts, too', async () => {
  await writeFile(sandbox.path(file), encrypted);
  for (const [script, variable, exitCode, said] of [
    ['exit 0', 'EDITOR', 0, /database\.yaml was not changed\n[\s\S]*nothing changed/],
    ['echo lost: 1 >> "$1"; exit 3', 'VISUAL', 1, /error: the editor failed\n {2}why: .*was not changed\n/],
    [
      broken,
      'VISUAL',
      1,
      /not changed\n {2}do: run again; if sops .* Enter returns to the editor, with the text\n/,
    ],
    [
      'rm "$1"',
      'VISUAL',
      1,
      /the editor failed\n {2}why: it removed the text; .* not changed\n {2}do: check the editor: /,
    ],
  ] as const) {
    assert.match(await edit(script, exitCode, variable), said);
    assert.is(await readText(sandbox.path(file)), encrypted);
  }
  assert.match(await edit('exit 0', 1, 'VISUAL', 'my editor'), / {2}do: .*my editor \(a path with a blank /);
});

test('a run that ends leaves the agent to another one, which stops it at its own end', async () => {
  const hasAgent = async () =>
    (await readdir(sandbox.path('.state/development/gnupg'))).includes('S.gpg-agent');
  const [opened, go] = [`${sandbox.home}/opened`, `${sandbox.home}/go`];
  execFileSync('mkfifo', [opened, go]);
  const editing = edit(`echo > ${opened}; cat ${go}`);
  await readText(opened);
  const context = await settledContext({}, sandbox.folder);
  await importKeys(context);
  await context.end('done');
  const isLeft = await hasAgent();
  await writeFile(go, '');
  await editing;
  assert.ok(isLeft, 'in use');
  assert.not.ok(await hasAgent(), 'no longer used');
});

test('a sops that is killed leaves nothing, and damage is reported before the editor opens', async () => {
  // sops is killed and its decrypted file stays
  await edit('kill -9 $PPID', 1);
  await writeFile(sandbox.path(file), encrypted.replace(/data:\w{4}/, 'data:AAAA'));
  const text = await edit('echo "the editor is open" > /dev/tty', 1);
  assert.match(text, `error: ${file} is damaged`);
  assert.not.match(text, 'the editor is open');
});

test.run();
