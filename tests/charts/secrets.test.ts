import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { leavesOf } from '../../lib/secrets/encrypted-file.ts';
import { secretForms, shortestSecret } from '../../lib/secrets/leaks.ts';
import { environmentIn } from '../rig/environment.ts';
import { copyProject } from '../rig/project-copy.ts';
import { failureOf, taskContext } from '../rig/task-context.ts';
import { helmfileArguments, objectsOf, only, readYaml, render, renderEnvironment } from './render.ts';
import { cleanUp, inPairs, root, run, succeed, temporaryFolder, withKeyring } from './tools.ts';

const test = suite('secrets');
test.after(cleanUp);

const file = 'environments/development/secrets/database.yaml';

/** Texts that YAML would read as another type without quotes. */
const awkward = [
  '0123',
  'true',
  'null',
  '~',
  '1e3',
  'a: b',
  '# no comment',
  "it's",
  '"quoted"',
  'back\\slash',
  '{{ .Values }}',
  '$(DB_HOST)',
  'ünïcode ✓',
  ' spaces ',
  '- item',
  '*alias',
  '!tag',
  '%41',
  'mixed \' and " & <html>',
  ...[
    '1.10',
    '1_000',
    '0x1F',
    '0o17',
    '12:30:45',
    '2001-12-14',
    'yes',
    'N',
    '',
    '\ttab',
    '%s',
    'a,b=c',
    '100%',
  ],
  ...['two\nlines', 'ends in one\n', 'ends in two\n\n', '\n', ' \n x', 'a\r\nb'],
  ...['ref+echo://x', 'sops://x.yaml#/y', 'state://x', 'secretref+file:///etc/hostname'],
];

test('one rule encrypts every secret to the operational and the backup key', async () => {
  const rules = (await readYaml('.sops.yaml')) as { creation_rules: { path_regex: string; pgp: string }[] };
  assert.is(rules.creation_rules.length, 1);
  const { path_regex = '', pgp = '' } = rules.creation_rules[0] ?? {};
  for (const name of await readdir(join(root, 'environments'))) {
    assert.match(`environments/${name}/secrets/database.yaml`, new RegExp(path_regex));
  }
  assert.not.match('environments/development/settings.yaml', new RegExp(path_regex));
  const recipients = pgp.split(',').map((fingerprint) => fingerprint.trim());
  assert.is(recipients.length, 2);
  const encrypted = (await readYaml(file)) as { sops: { pgp: { fp: string }[] } };
  assert.equal(encrypted.sops.pgp.map(({ fp }) => fp).sort(), [...recipients].sort());
});

test('the operational key opens the passwords, which are not guessable', async () => {
  const opened = await withKeyring((environment) => succeed('sops', ['decrypt', file], { environment }));
  const passwords = parse(opened.stdout) as Record<string, string>;
  assert.equal(Object.keys(passwords).sort(), ['app2Password', 'password', 'vaultPassword']);
  for (const password of Object.values(passwords)) assert.match(password, /^[A-Za-z0-9]{24,}$/);
});

test('keys are marked and listed as development keys, and the repository has no private backup key', async () => {
  const known = (await readYaml('sops/development-keys.yaml')) as unknown as string[];
  for (const name of await readdir(join(root, 'sops'))) {
    if (!name.endsWith('.asc')) continue;
    const text = await readFile(join(root, 'sops', name), 'utf8');
    assert.match(name, /^development-/);
    assert.match(text, /^DEVELOPMENT ONLY\./);
    assert.is(text.includes('PRIVATE KEY'), name === 'development-operational.asc', name);
    const environment = { GNUPGHOME: await temporaryFolder() };
    const shown = await succeed('gpg', ['--batch', '--with-colons', '--show-keys', join('sops', name)], {
      environment,
    });
    assert.match(shown.stdout, /\(DEVELOPMENT ONLY\)/);
    const parts = [...shown.stdout.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map(([, part]) => part ?? '');
    assert.ok(parts.length > 1 && parts.every((part) => known.includes(part)), name);
    await run('gpgconf', ['--homedir', environment.GNUPGHOME, '--kill', 'all'], { environment });
  }
});

/** Every secret of an environment that helmfile can read. */
async function secretsOf(environment: string): Promise<string[]> {
  const names = await readdir(join(root, 'environments', environment, 'secrets'));
  const opened = await withKeyring((keyring) =>
    inPairs(names, (name) =>
      succeed('sops', ['decrypt', `environments/${environment}/secrets/${name}`], { environment: keyring }),
    ),
  );
  return opened
    .flatMap(({ stdout }) => leavesOf(parse(stdout)).map(({ value }) => String(value)))
    .filter((value) => value.length >= shortestSecret);
}

for (const [provider, environment] of [
  ['embedded', 'development'],
  ['minikube', 'development'],
  ['existing', 'development'],
] as const) {
  test(`${environment} on ${provider}: secrets are in Secrets of devops and postgresql and nowhere else`, async () => {
    const secrets = await secretsOf(environment);
    assert.ok(secrets.length > 0);
    const forms = secrets.flatMap(secretForms);
    const showing = (text: string) =>
      forms.filter((form) => text.includes(form.text)).map(({ name }) => name);
    const holders: string[] = [];
    for (const [release, text] of await renderEnvironment(provider, environment)) {
      if (showing(text).length > 0) holders.push(release);
      for (const object of objectsOf(text)) {
        if (object.kind === 'Secret') continue;
        assert.equal(showing(JSON.stringify(object)), [], `${object.kind} of ${release}`);
      }
    }
    assert.equal(holders.sort(), ['devops', 'postgresql']);
  });
}

test('both Secrets hold awkward passwords unchanged', async () => {
  const words = awkward.filter((word) => word !== '');
  const secret = { namespace: 'backend', host: 'db', port: 5432, name: 'app', user: 'app' };
  const databaseSecrets = Object.fromEntries(
    words.map((password, index) => [`s${index}`, { ...secret, password }]),
  );
  const devops = await render('devops', { values: { databaseSecrets } });
  for (const [index, word] of words.entries())
    assert.equal(only(devops, 'Secret', `s${index}`).stringData, {
      DB_HOST: 'db',
      DB_PORT: '5432',
      DB_NAME: 'app',
      DB_USER: 'app',
      DB_PASSWORD: word,
    });
  const applications = Object.fromEntries(words.map((password, index) => [`app${index}`, { password }]));
  await inPairs(words, async (password) => {
    const postgresql = await render('postgresql', { values: { password, applications } });
    assert.is(only(postgresql, 'Secret', 'app-superuser').stringData.password, password);
    const { roles } = only(postgresql, 'Secret', 'app-set-up').stringData;
    assert.equal(JSON.parse(roles).applications, applications);
  });
});

const awkwardFile = 'environments/development/secrets/awkward.yaml';

type ReadValue = (name: string) => Promise<string>;

/** Encrypts a file with the real SOPS in a fresh clone; `read` is how the tasks read a value of it. */
async function withEncrypted(
  text: string,
  use: (folder: string, read: ReadValue) => Promise<void>,
): Promise<void> {
  const clone = copyProject();
  const { folder } = clone;
  const ours = environmentIn(folder);
  const environment = { GNUPGHOME: ours.gnupgHome };
  try {
    await writeFile(join(folder, awkwardFile), text);
    await mkdir(environment.GNUPGHOME, { recursive: true, mode: 0o700 });
    const keys = ['sops/development-operational.asc', 'sops/development-backup.public.asc'];
    await succeed('gpg', ['--batch', '--quiet', '--import', ...keys], { environment });
    await succeed('sops', ['encrypt', '--in-place', awkwardFile], { environment, folder });
    const { decryptValue }: typeof import('../../lib/secrets/sops.ts') = await import(
      join(folder, 'lib/secrets/sops.ts')
    );
    const context = taskContext({ env: 'development', provider: 'embedded' });
    await use(folder, (name) => decryptValue({ ...context, environment: ours }, 'awkward.yaml', name));
  } finally {
    await run('gpgconf', ['--kill', 'all'], { environment });
    clone.remove();
  }
}

test('helmfile and the tasks read the same text from a SOPS file', async () => {
  const words = awkward.filter((word) => word !== '');
  const names = words.map((_, index) => `secret${index}`);
  // As JSON: YAML without quotes is the next test.
  const text = JSON.stringify(Object.fromEntries(names.map((name, index) => [name, words[index]])), null, 2);
  await withEncrypted(text, async (folder, read) => {
    assert.equal(await inPairs(names, read), words);
    const secret = { namespace: 'backend', host: 'db', port: 1, name: 'app', user: 'app' };
    const databaseSecrets = Object.fromEntries(
      names.map((name) => [name, { ...secret, password: `sops://awkward.yaml#/${name}` }]),
    );
    await writeFile(
      join(folder, 'environments/development/settings.yaml'),
      stringify({ releases: { devops: { databaseSecrets } } }),
    );
    const args = [
      ...(await helmfileArguments('embedded', 'development')),
      '--selector',
      'name=devops',
      'template',
    ];
    const { stdout } = await withKeyring((environment) => succeed('helmfile', args, { environment, folder }));
    const objects = objectsOf(stdout);
    const found = names.map((name) => only(objects, 'Secret', name).stringData.DB_PASSWORD);
    assert.equal(found, words);
  });
});

test('a value that YAML did not read as text before encryption is refused, since the typed text is lost', async () => {
  const typed = ['0123456', '1e10', 'true', '2001-12-14', '1.10', 'null', '[x]', '{ x: y }'];
  const text = typed.map((value, index) => `secret${index}: ${value}\n`).join('');
  await withEncrypted(text, async (_, read) => {
    for (const [index, value] of typed.entries()) {
      const { what } = await failureOf(read(`secret${index}`));
      assert.is(what, `the value \`secret${index}\` of ${awkwardFile} is not a text`, value);
    }
  });
});

test.run();
