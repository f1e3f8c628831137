import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { leavesOf } from '../../lib/ground/tree.ts';
import { consumerSecrets } from '../../lib/rotation/consumers.ts';
import { secretForms } from '../../lib/secrets/leaks.ts';
import { decryptValue } from '../../lib/secrets/sops.ts';
import { secretKey } from '../../lib/settings/secret-reference.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { applications as ours } from '../rig/applications.ts';
import { environmentIn, fails, taskContext } from '../rig/task-context.ts';
import {
  copyOfReleases,
  environments,
  objectsWith,
  releaseObjects,
  renderEnvironment,
} from './environments.ts';
import { merge, objectsOf, ofKind, only, readYaml, renderEach, required } from './render.ts';
import { inPairs, keyring, newKeyring, root, succeed } from './tools.ts';

const test = suite('secrets');

const file = 'environments/development/secrets/database.yaml';

/** Texts that YAML would read as another type without quotes. */
const awkward = [
  ...['0123', 'true', 'null', '~', '1e3', 'a: b', '# no comment', "it's", '"quoted"', 'back\\slash'],
  ...['{{ .Values }}', '$(DB_HOST)', 'ünïcode ✓', ' spaces ', '- item', '*alias', '!tag', '%41'],
  'mixed \' and " & <html>',
  ...['1.10', '1_000', '0x1F', '0o17', '12:30:45', '2001-12-14', 'yes', 'N'],
  ...['\ttab', '%s', 'a,b=c', '100%'],
  ...['two\nlines', 'ends in one\n', 'ends in two\n\n', '\n', ' \n x', 'a\r\nb'],
  ...['ref+echo://x', 'sops://x.yaml#/y', 'state://x', 'secretref+file:///etc/hostname'],
];

test('one rule encrypts every secret to the operational and the backup key', async () => {
  const rules = (await readYaml('.sops.yaml')) as { creation_rules: { path_regex: string; pgp: string }[] };
  const [{ path_regex = '', pgp = '' } = {}, ...others] = rules.creation_rules;
  assert.equal(others, []);
  for (const name of await readdir(join(root, 'environments')))
    assert.match(`environments/${name}/secrets/database.yaml`, new RegExp(path_regex));
  assert.not.match('environments/development/settings.yaml', new RegExp(path_regex));
  const recipients = pgp.split(',').map((fingerprint) => fingerprint.trim());
  assert.is(recipients.length, 2);
  const encrypted = (await readYaml(file)) as { sops: { pgp: { fp: string }[] } };
  assert.equal(encrypted.sops.pgp.map(({ fp }) => fp).sort(), [...recipients].sort());
});

test('keys are marked and listed as development keys, and the repository has no private backup key', async () => {
  const known = (await readYaml('sops/development-keys.yaml')) as unknown as string[];
  for (const name of await readdir(join(root, 'sops'))) {
    if (!name.endsWith('.asc')) continue;
    const text = await readFile(join(root, 'sops', name), 'utf8');
    assert.match(name, /^development-/);
    assert.match(text, /^DEVELOPMENT ONLY\./);
    assert.is(text.includes('PRIVATE KEY'), name === 'development-operational.asc', name);
    const args = ['--batch', '--with-colons', '--show-keys', join('sops', name)];
    const shown = await succeed('gpg', args, { environment: newKeyring() });
    assert.match(shown, /\(DEVELOPMENT ONLY\)/);
    const parts = [...shown.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map(([, part]) => part ?? '');
    assert.ok(parts.length > 1 && parts.every((part) => known.includes(part)), name);
  }
});

test('the operational key opens the passwords, which are in Secrets of devops and postgresql and nowhere else', async () => {
  const references = leavesOf(
    await loadSettings({ name: 'development', provider: 'embedded', root }),
  ).flatMap(({ value }) => secretKey(String(value)) ?? []);
  const names = await readdir(join(root, dirname(file)));
  assert.equal(names, [...new Set(references.map((reference) => reference.file))].sort());
  const passwords: Record<string, string> = {};
  for (const name of names) {
    const path = join(dirname(file), name);
    const opened = await succeed('sops', ['decrypt', path], { environment: await keyring() });
    const values = parse(opened) as Record<string, string>;
    const keys = references.filter((reference) => reference.file === name).map(({ key }) => key);
    assert.equal(Object.keys(values).sort(), [...new Set(keys)].sort(), name);
    for (const [key, value] of Object.entries(values)) passwords[`${name} ${key}`] = value;
  }
  const secrets = Object.values(passwords);
  for (const password of secrets) assert.match(password, /^[A-Za-z0-9]{24,}$/);
  const forms = secrets.flatMap(secretForms);
  const showing = (text: string) => forms.filter((form) => text.includes(form.text)).map(({ name }) => name);
  for (const [provider] of environments.filter(([, name]) => name === 'development')) {
    const holders: string[] = [];
    for (const [release, text] of await renderEnvironment(provider)) {
      if (showing(text).length > 0) holders.push(release);
      for (const object of objectsOf(text))
        if (object.kind !== 'Secret')
          assert.equal(showing(JSON.stringify(object)), [], `${object.kind} of ${release} on ${provider}`);
    }
    assert.equal(holders.sort(), ['devops', 'postgresql'], provider);
  }
});

test('devops writes a login for each application with a password, where a rotation looks for it', async () => {
  const secrets = ofKind(await releaseObjects('devops', 'embedded'), 'Secret').filter(
    ({ stringData }) => 'DB_USER' in stringData,
  );
  const roles = ours.flatMap(({ name, secrets }) => (secrets === 'sops' ? [name] : []));
  const found = consumerSecrets(
    await loadSettings({ name: 'development', provider: 'embedded', root }),
    roles,
  );
  assert.equal(
    secrets.map(({ metadata, stringData }) => [metadata.name, metadata.namespace, stringData.DB_USER]).sort(),
    found.map(({ name, namespace }, index) => [name, namespace, roles[index]]).sort(),
  );
  assert.is(found.length, roles.length);
});

test('the superuser’s Secret holds awkward passwords unchanged', async () => {
  const values = awkward.map((password) => merge(required.postgresql, { password }));
  const rendered = await renderEach(values.map((one) => ({ chart: 'postgresql', values: one })));
  const found = rendered.map(({ text }) => only(objectsOf(text), 'Secret', 'app-superuser').stringData);
  for (const [index, { password }] of found.entries()) assert.is(password, awkward[index]);
});

test('helmfile and the tasks read the same text from a SOPS file, and the tasks refuse what is no text', async () => {
  const folder = copyOfReleases();
  const environment = await keyring();
  const names = awkward.map((_, index) => `secret${index}`);
  // YAML reads these as another type, and the original text is lost.
  const typed = ['0123456', '1e10', 'true', '2001-12-14', '1.10', 'null', '[x]', '{ x: y }'];
  const lines = [
    ...awkward.map((text, index) => `secret${index}: ${JSON.stringify(text)}`),
    ...typed.map((value, index) => `typed${index}: ${value}`),
  ];
  const awkwardFile = 'environments/development/secrets/awkward.yaml';
  await writeFile(join(folder, awkwardFile), `${lines.join('\n')}\n`);
  await succeed('sops', ['encrypt', '--in-place', awkwardFile], { environment, folder });

  const ours = { ...environmentIn(folder), gnupgHome: environment.GNUPGHOME };
  const context = { ...taskContext({ env: 'development', provider: 'embedded' }), environment: ours };
  const read = (name: string) => decryptValue(context, 'awkward.yaml', name);
  assert.equal(await inPairs(names, read), awkward);
  for (const index of typed.keys()) {
    const what = `the value \`typed${index}\` of ${awkwardFile} is not a text`;
    await fails(read(`typed${index}`), { what });
  }

  const roles = names.map((name) => [name, { password: `sops://awkward.yaml#/${name}` }]);
  const settings = stringify({ database: { applications: Object.fromEntries(roles) } });
  const objects = await objectsWith(settings, ['name=devops', 'name=postgresql'], { folder });
  const { applications } = JSON.parse(only(objects, 'Secret', 'postgresql-set-up').stringData.roles);
  for (const [index, name] of names.entries()) {
    const { DB_NAME, DB_USER, DB_PASSWORD } = only(objects, 'Secret', `${name}-back-database`).stringData;
    const passwords = [DB_PASSWORD, applications[name].password];
    assert.equal([DB_NAME, DB_USER, ...passwords], [name, name, awkward[index], awkward[index]]);
  }
});

test.run();
