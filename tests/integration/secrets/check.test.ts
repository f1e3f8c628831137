import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { Ended } from '../../../lib/runner/tests/rig/ended.ts';
import { secretForms } from '../../../lib/secrets/leaks.ts';
import { makeSandbox, type Sandbox } from '../sandbox.ts';
import { openedBy, withKeys } from './keyring.ts';

const test = suite('check-secrets');
let sandbox: Sandbox;
let password: string;

const file = 'environments/development/secrets/database.yaml';

test.before(async () => {
  sandbox = await makeSandbox();
  const opened = await openedBy(sandbox, [sandbox.path('sops/development-operational.asc')], file);
  ({ password } = parse(opened ?? '') as { password: string });
  // like a fresh clone, but without a commit
  await promisify(execFile)('git', ['init', '--quiet'], { cwd: sandbox.folder });
});
test.after(() => sandbox.remove('development'));

/** The check with one file changed, which is restored afterwards. */
async function checkWith(path: string, change: (text: string) => string): Promise<Ended> {
  const full = sandbox.path(path);
  const before = await readFile(full).catch(() => undefined);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, change(before?.toString() ?? ''));
  try {
    return await sandbox.task('check-secrets');
  } finally {
    if (before === undefined) await rm(full);
    else await writeFile(full, before);
  }
}

/** The whole output, in which no secret may appear. */
const said = ({ stdout, stderr }: Ended): string => stdout + stderr;

test('this repository has no secret in plain text', async () => {
  const { exitCode, stdout, stderr } = await sandbox.task('check-secrets');
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /no secret in plain text in \d{3,} files/);
});

test('a value that is not encrypted is named by file and key, and not shown', async () => {
  const plain = await checkWith(file, (text) => `token: hunter2-hunter2\n${text}`);
  assert.is(plain.exitCode, 1);
  assert.match(plain.stdout, `${file}: the value \`token\` is not encrypted`);
  assert.not.match(said(plain), 'hunter2');
  const opened = await checkWith(file, (text) => text.replace(/^password: .*$/m, `password: ${password}`));
  assert.is(opened.exitCode, 1);
  assert.match(opened.stdout, `${file}: the value \`password\` is not encrypted`);
  assert.not.ok(said(opened).includes(password));
});

test('a damaged file is a failure, and is not called one that no key opens', async () => {
  const broken = await checkWith(file, (text) => text.replace(/^(password: .*data:)./m, '$1*'));
  assert.is(broken.exitCode, 1);
  assert.match(broken.stderr, `error: ${file} is damaged`);
  assert.not.match(broken.stderr, 'no key here opens');
});

test('values below maps and lists, of any type, and comments count too', async () => {
  const more = 'nested:\n  list: [1]\n  port_unencrypted: 5432\n# a comment\nempty: ""\nnothing: null\n';
  const { exitCode, stdout, stderr } = await checkWith(file, (text) => more + text);
  assert.is(exitCode, 1);
  assert.match(stdout, '`nested.list.0` is not encrypted');
  assert.match(stdout, '`nested.port_unencrypted` is not encrypted');
  assert.match(stdout, `${file}:4: a comment that is not encrypted`);
  assert.match(stderr, 'error: 3 in plain text');
});

test('a file that SOPS never encrypted, or cannot read, is found', async () => {
  const fresh = await checkWith(
    'environments/development/secrets/new.yaml',
    () => 'token: hunter2-hunter2\n',
  );
  assert.match(fresh.stdout, 'new.yaml: it is not encrypted by SOPS');
  const text = await checkWith('environments/development/secrets/token.txt', () => 'hunter2-hunter2');
  assert.is(text.exitCode, 1);
  assert.match(text.stdout, 'token.txt: no rule of .sops.yaml matches it');
});

test('the value of a secret is found anywhere and in every form', async () => {
  const forms = secretForms(password);
  const place = (index: number): string => `charts/backend/notes${index}.txt`;
  for (const [index, { text }] of forms.entries())
    await writeFile(sandbox.path(place(index)), `first line\nkey=xx${text}yy\n`);
  const ended = await sandbox.task('check-secrets');
  assert.is(ended.exitCode, 1);
  for (const [index, { name, text }] of forms.entries()) {
    assert.match(ended.stdout, `${place(index)}:2: the value \`password\` of ${file}, ${name}\n`);
    assert.not.ok(said(ended).includes(text), name);
    await rm(sandbox.path(place(index)));
  }
});

test('private keys are found by their format; only the development key is allowed', async () => {
  const made = await withKeys(
    sandbox,
    [],
    'sh',
    '-c',
    [
      'gpg --batch --quiet --passphrase "" --quick-generate-key somebody ed25519 2> /dev/null',
      'gpg --batch --armor --export-secret-keys',
    ].join('\n'),
  );
  const armour = made.stdout;
  assert.match(armour, 'BEGIN PGP PRIVATE KEY');
  const own = await checkWith('sops/development-mine.asc', () => `DEVELOPMENT ONLY.\n\n${armour}`);
  assert.is(own.exitCode, 1);
  assert.match(own.stdout, 'sops/development-mine.asc:3: a private OpenPGP key');
  const pem = `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n-----END PRIVATE KEY-----\n`;
  const packed = await checkWith('docs/config', () => `data: ${Buffer.from(pem).toString('base64')}\n${pem}`);
  assert.match(packed.stdout, 'docs/config:2: a private key\n');
  assert.match(packed.stdout, 'docs/config:1: a private key in base64');
  const development = await readFile(sandbox.path('sops/development-operational.asc'), 'utf8');
  assert.is((await checkWith('sops/other-name.asc', () => development)).exitCode, 0);
});

test('staged content is checked, also in a hook, and files of any name and encoding', async () => {
  const git = (words: readonly string[], index = '.git/index') =>
    promisify(execFile)('git', words, {
      cwd: sandbox.folder,
      env: { ...process.env, GIT_INDEX_FILE: sandbox.path(index) },
    });
  const pem = `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n-----END PRIVATE KEY-----\n`;
  const clean = await readFile(sandbox.path(file));
  const latin = Buffer.concat([Buffer.from(`${sandbox.folder}/`), Buffer.from('caf\xe9.pem', 'latin1')]);
  await writeFile(sandbox.path(file), 'password: hunter2-hunter2\n');
  await writeFile(sandbox.path('leak.pem'), pem);
  await git(['add', file, 'leak.pem']);
  await rm(sandbox.path('leak.pem'));
  await writeFile(sandbox.path('hook.pem'), pem);
  await git(['add', 'hook.pem'], '.git/next-index-1.lock');
  await rm(sandbox.path('hook.pem'));
  await writeFile(sandbox.path(file), clean);
  await writeFile(latin, pem);
  await writeFile(sandbox.path('u16.pem'), Buffer.from(`\ufeff${pem}`, 'utf16le'));

  const ended = await sandbox.task('check-secrets');
  assert.is(ended.exitCode, 1, ended.stderr);
  assert.not.match(said(ended), 'hunter2');
  assert.equal(ended.stdout.trimEnd().split('\n').sort(), [
    'caf\\xe9.pem:1: a private key',
    `${file} (in the index): it is not encrypted by SOPS`,
    `${file} (in the index): the value \`password\` is not encrypted`,
    'leak.pem (in the index):1: a private key',
    'u16.pem:1: a private key',
  ]);
  await rm(latin);
  await rm(sandbox.path('u16.pem'));

  sandbox.env.GIT_INDEX_FILE = '.git/next-index-1.lock';
  const { stdout } = await sandbox.task('check-secrets');
  delete sandbox.env.GIT_INDEX_FILE;
  assert.is(stdout, 'hook.pem (in the index):1: a private key\n');
  await rm(sandbox.path('.git/index'));
});

test('a given key that does not work is a failure', async () => {
  await sandbox.task('destroy-environment', '--yes');
  const fails = async (variables: Record<string, string>): Promise<string> => {
    Object.assign(sandbox.env, variables);
    const { exitCode, stdout, stderr } = await sandbox.task('check-secrets');
    for (const name of Object.keys(variables)) delete sandbox.env[name];
    assert.is(exitCode, 1, stderr);
    assert.is(stdout, '');
    return stderr;
  };
  assert.match(
    await fails({ SOPS_PGP_KEY_FILE: `${sandbox.home}/nowhere.asc` }),
    /^error: the operational key .*nowhere\.asc cannot be read$/m,
  );
  assert.match(
    await fails({ SOPS_PGP_KEY: 'no armour' }),
    /^error: SOPS_PGP_KEY holds no key that can decrypt$/m,
  );
  const other = await withKeys(
    sandbox,
    [],
    'sh',
    '-c',
    'gpg --batch --quiet --passphrase "" --quick-generate-key other future-default 2> /dev/null; gpg --batch --armor --export-secret-keys',
  );
  assert.match(await fails({ SOPS_PGP_KEY: other.stdout }), `error: no key in the keyring opens ${file}\n`);
});

test('without a key the rest is checked all the same, and the log says what is not', async () => {
  await sandbox.task('destroy-environment', '--yes');
  await writeFile(sandbox.path('environments/development/key.yaml'), 'sops: { key: ~/nowhere.asc }\n');
  const good = await sandbox.task('check-secrets');
  assert.is(good.exitCode, 0, good.stderr);
  assert.match(good.stderr, 'no key is given (~/nowhere.asc does not exist)');
  assert.match(
    good.stdout,
    /no secret in plain text in \d{3,} files; not checked: the values of .*database\.yaml/,
  );
  const bad = await checkWith(file, (text) => `token: hunter2-hunter2\n${text}`);
  assert.is(bad.exitCode, 1);
});

test.run();
