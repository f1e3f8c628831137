import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { leavesOf } from '../../lib/sops/encrypted-file.ts';
import { secretForms, shortestSecret } from '../../lib/sops/secret-forms.ts';
import { objectsOf, only, readYaml, render, renderEnvironment } from './render.ts';
import { cleanUp, inPairs, root, run, succeed, temporaryFolder, withKeyring } from './tools.ts';

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

test('keys are marked and listed as for development, and the backup key has no private half here', async () => {
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

/** Everything secret of an environment that helmfile can read. */
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
