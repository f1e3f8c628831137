import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { objectsOf, only, readYaml, render, renderEnvironment } from './render.ts';
import { cleanUp, root, run, succeed, temporaryFolder, withKeyring } from './tools.ts';

const test = suite('secrets');
test.after(cleanUp);

const file = 'environments/development/secrets/database.yaml';

/** Texts that YAML takes for something else, unless somebody thought of it. */
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

test('the operational key opens the passwords, which nobody would guess', async () => {
  const opened = await withKeyring((environment) => succeed('sops', ['decrypt', file], { environment }));
  const passwords = parse(opened.stdout) as Record<string, string>;
  assert.equal(Object.keys(passwords).sort(), ['app2Password', 'password', 'vaultPassword']);
  for (const password of Object.values(passwords)) assert.match(password, /^[A-Za-z0-9]{24,}$/);
});

test('keys are marked as for development, and the backup key has no private half here', async () => {
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
    await run('gpgconf', ['--homedir', environment.GNUPGHOME, '--kill', 'all'], { environment });
  }
});

test('the database passwords are in Secrets of devops and postgresql and nowhere else', async () => {
  const opened = await withKeyring((environment) => succeed('sops', ['decrypt', file], { environment }));
  const passwords = Object.values(parse(opened.stdout) as Record<string, string>);
  const forms = passwords.flatMap((password) => [password, Buffer.from(password).toString('base64')]);
  const holders: string[] = [];
  for (const [release, text] of await renderEnvironment('embedded')) {
    if (forms.some((form) => text.includes(form))) holders.push(release);
    for (const object of objectsOf(text)) {
      if (object.kind === 'Secret') continue;
      assert.not.ok(
        forms.some((form) => JSON.stringify(object).includes(form)),
        `${object.kind} of ${release}`,
      );
    }
  }
  assert.equal(holders.sort(), ['devops', 'postgresql']);
});

test('both Secrets hold awkward passwords unchanged', async () => {
  for (const password of awkward) {
    const database = { namespace: 'backend', host: 'db', port: 5432, name: 'app', user: 'app', password };
    const devops = await render('devops', { values: { databaseSecrets: { 'app-database': database } } });
    assert.equal(only(devops, 'Secret').stringData, {
      DB_HOST: 'db',
      DB_PORT: '5432',
      DB_NAME: 'app',
      DB_USER: 'app',
      DB_PASSWORD: password,
    });
    const values = { password, applications: { app: { password } } };
    const postgresql = await render('postgresql', { values });
    assert.is(only(postgresql, 'Secret', 'app-superuser').stringData.password, password);
    const { roles } = only(postgresql, 'Secret', 'app-set-up').stringData;
    assert.is(JSON.parse(roles).applications.app.password, password);
  }
});

test('an awkward password comes unchanged all the way from a SOPS file', async () => {
  const folder = await temporaryFolder();
  for (const name of ['charts', 'environments', 'helmfile.yaml', '.sops.yaml']) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  const names = awkward.map((_, index) => `secret${index}`);
  const secrets = Object.fromEntries(names.map((name, index) => [name, awkward[index]]));
  await withKeyring(async (environment) => {
    // the backup key's public half is in no keyring but this one, so that sops can encrypt to it
    await succeed('gpg', ['--batch', '--quiet', '--import', 'sops/development-backup.public.asc'], {
      environment,
    });
    const path = 'environments/development/secrets/awkward.yaml';
    await writeFile(join(folder, path), stringify(secrets));
    await succeed('sops', ['encrypt', '--in-place', path], { environment, folder });
  });
  const databaseSecrets = Object.fromEntries(
    names.map((name) => [
      name,
      {
        namespace: 'backend',
        host: 'db',
        port: 1,
        name: 'app',
        user: 'app',
        password: `sops://awkward.yaml#/${name}`,
      },
    ]),
  );
  const settings = join(folder, 'environments/development/settings.yaml');
  const own = parse(await readFile(settings, 'utf8')) as { releases: Record<string, unknown> };
  await writeFile(settings, stringify({ releases: { ...own.releases, devops: { databaseSecrets } } }));
  const objects = objectsOf((await renderEnvironment('embedded', 'development', folder)).get('devops') ?? '');
  const found = names.map((name) => only(objects, 'Secret', name).stringData.DB_PASSWORD);
  assert.equal(found, awkward);
});

test.run();
