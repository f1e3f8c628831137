import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import type { TaskError } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { checkSecrets } from '../../../lib/secrets/check.ts';
import { secretForms } from '../../../lib/secrets/leaks.ts';
import { newPassword } from '../../../lib/secrets/make.ts';
import { giveKey } from '../../../lib/secrets/operational-key.ts';
import { authorityFile, writeShared } from '../../../lib/secrets/shared-file.ts';
import { outputOf } from '../../rig/programs.ts';
import { settledContext, taskContext } from '../../rig/task-context.ts';
import { makeSandbox } from '../sandbox.ts';
import { makeKey, openedBy } from './keyring.ts';

const test = suite('check-secrets');
const sandbox = await makeSandbox();
sandbox.removeAfter(test);

const file = 'environments/development/secrets/database.yaml';
const other = 'environments/lab/secrets/database.yaml';
const developmentKey = 'sops/development-operational.asc';
const pem = `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n-----END PRIVATE KEY-----\n`;

const git = (words: string, index = '.git/index') => {
  const env = { ...sandbox.env, GIT_INDEX_FILE: sandbox.path(index) };
  return outputOf({ ...sandbox, env }, 'git', words.split(' '));
};
// Like a fresh clone, but without a commit.
await git('init --quiet');
await git('add --all');
await copyFile(sandbox.path('.git/index'), sandbox.path('.git/all'));
test.after.each(async () => {
  await copyFile(sandbox.path('.git/all'), sandbox.path('.git/index'));
  await git('checkout --quiet .');
  await git('clean --quiet -d --force');
});

const opened = await openedBy(sandbox, [sandbox.path(developmentKey)], file);
const { password } = parse(opened ?? '') as { password: string };

/** The findings of the check, sorted, its error and its log. */
async function check(variables: Record<string, string> = {}) {
  const context = await settledContext({}, sandbox.folder);
  Object.assign(process.env, variables);
  const error = await checkSecrets(context).catch((error: TaskError) => error);
  for (const name of Object.keys(variables)) delete process.env[name];
  await context.end('done');
  const found = context.printed.join('\n').split('\n').sort();
  return { found, what: error?.what ?? '', advice: error?.advice ?? '', log: context.logged.join('\n') };
}

async function plant(files: Record<string, string | Buffer>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(sandbox.path(name), content);
}

test('this repository has no secret in plain text', async () => {
  const { stdout } = await sandbox.succeeds('check-secrets');
  assert.match(stdout, /no secret in plain text in \d{3,} files/);
});

test('whatever is not encrypted is named by its place, in every form, and not shown', async () => {
  const text = await readFile(sandbox.path(other), 'utf8');
  const nested = 'nested:\n  list: [1]\n  port_unencrypted: 5432\n# a comment\nempty: ""\nnothing: null\n';
  const forms = secretForms(password);
  await plant({
    [other]: `${nested}token: hunter2-hunter2\n${text.replace(/^password: .*$/m, `password: ${password}`)}`,
    'environments/lab/secrets/new.yaml': 'token: hunter2-hunter2\n',
    'environments/lab/secrets/token.txt': 'hunter2-hunter2',
    ...Object.fromEntries(
      forms.map((form, index) => [`charts/notes${index}.txt`, `first line\nkey=xx${form.text}yy\n`]),
    ),
    'sops/development-mine.asc': `DEVELOPMENT ONLY.\n\n${(await makeKey(sandbox, 'ed25519')).secret}`,
    'sops/other-name.asc': await readFile(sandbox.path(developmentKey)),
    'docs/config': `data: ${Buffer.from(pem).toString('base64')}\n${pem}`,
    'zeros.bin': `\0\n${pem}\0`,
  });
  const { found, what, log } = await check();
  const places = forms.map(
    ({ name }, index) => `charts/notes${index}.txt:2: the value \`password\` of ${file}, ${name}`,
  );
  const expected = [
    ...places,
    ...['docs/config:1: a private key in base64', 'docs/config:2: a private key'],
    `${other}:4: a comment that is not encrypted`,
    `${other}:8: the value \`password\` of ${file}, as it is`,
    ...['nested.list.0', 'nested.port_unencrypted', 'password', 'token'].map(
      (key) => `${other}: the value \`${key}\` is not encrypted`,
    ),
    'environments/lab/secrets/new.yaml: it is not encrypted by SOPS: `token`',
    'environments/lab/secrets/token.txt: it is not a YAML map',
    'environments/lab/secrets/token.txt: no rule of .sops.yaml matches it',
    ...['sops/development-mine.asc:3: a private OpenPGP key', 'zeros.bin:2: a private key'],
  ];
  assert.equal(found, expected.sort());
  assert.match(what, `, and ${found.length - 1} more`);
  for (const text of [...forms.map((form) => form.text), 'hunter2'])
    assert.not.ok(JSON.stringify([found, what, log]).includes(text));
});

test('staged content is checked, also in a hook', async () => {
  const whole = await readFile(sandbox.path(file));
  await plant({ [file]: 'password: hunter2-hunter2\n', 'leak.pem': pem, 'hook.pem': pem });
  await git(`add ${file} leak.pem`);
  await git('add hook.pem', '.git/next-index-1.lock');
  await plant({ [file]: whole });
  for (const name of ['leak.pem', 'hook.pem']) await rm(sandbox.path(name));
  assert.equal((await check()).found, [
    `${file} (in the index): it is not encrypted by SOPS: \`password\``,
    'leak.pem (in the index):1: a private key',
  ]);
  const { found } = await check({ GIT_INDEX_FILE: sandbox.path('.git/next-index-1.lock') });
  assert.equal(found, ['hook.pem (in the index):1: a private key']);
});

test('the name and the certificate in the files that a team shares are no secrets', async () => {
  const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  const key = newPassword();
  await writeShared(taskContext({}, sandbox.folder), authorityFile, { certificate, key });
  await plant({ 'ca.crt': certificate, 'notes.md': `development: ${key}\n` });
  const { found } = await check();
  const shared = `environments/development/secrets/${authorityFile}`;
  assert.equal(found, [`notes.md:1: the value \`key\` of ${shared}, as it is`]);
});

test('a damaged file, or a given key that does not work, is a failure', async () => {
  const whole = await readFile(sandbox.path(file), 'utf8');
  await plant({ [file]: whole.replace(/^(password: .*data:)./m, '$1*') });
  assert.is((await check()).what, `${file} is damaged`);
  await plant({ [file]: whole });
  await rm(sandbox.path('.state'), { recursive: true });
  const { secret } = await makeKey(sandbox);
  for (const [variables, what, advice] of [
    [{ SOPS_PGP_KEY_FILE: '/nowhere.asc' }, 'the operational key /nowhere.asc cannot be read', giveKey],
    [{ SOPS_PGP_KEY: 'no armour' }, 'SOPS_PGP_KEY holds no key that can decrypt', 'it must be one armoured'],
    [{ SOPS_PGP_KEY: secret }, `no key in the keyring opens ${file}`, giveKey],
  ] as const) {
    const failed = await check(variables);
    assert.is(failed.what, what);
    assert.ok(failed.advice.startsWith(advice), failed.advice);
  }
});

test('without a key the rest is checked all the same, and the log says what is not', async () => {
  await plant({ 'environments/development/key.yaml': 'sops: { key: ~/nowhere.asc }\n' });
  const good = await check();
  for (const said of ['no key is given (~/nowhere.asc does not exist)', giveKey])
    assert.match(good.log, said);
  assert.match(
    good.found.join(),
    /no secret in plain text in \d{3,} files; not checked: the values of .*database/,
  );
  await plant({ [file]: `token: hunter2-hunter2\n${await readFile(sandbox.path(file), 'utf8')}` });
  assert.equal((await check()).found, [`${file}: the value \`token\` is not encrypted`]);
});

test.run();
