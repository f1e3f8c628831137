import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { makeSandbox, readText, type Sandbox } from '../sandbox.ts';
import { makeKey, openedBy } from './keyring.ts';

/* Secrets of a new environment, with the real gpg and sops; no cluster. */

const test = suite('make-secrets');
let sandbox: Sandbox;

const fileOf = (environment: string): string => `environments/${environment}/secrets/database.yaml`;

test.before(async () => {
  sandbox = await makeSandbox();
  await mkdir(sandbox.path('environments/staging'));
  const settings = await readText(sandbox.path('environments/development/settings.yaml'));
  await writeFile(sandbox.path('environments/staging/settings.yaml'), settings);
});
test.after(() => sandbox.remove('development', 'staging', 'production', 'first'));

const valuesOf = async (environment: string, key: string): Promise<Record<string, string> | undefined> => {
  const text = await openedBy(sandbox, [key], fileOf(environment));
  return text === undefined ? undefined : (parse(text) as Record<string, string>);
};

test('an environment gets its missing secrets: the names of development, other values, shown nowhere', async () => {
  const key = sandbox.path('sops/development-operational.asc');
  const { exitCode, stdout, stderr } = await sandbox.task('make-secrets', '--env', 'staging', '--verbose');
  assert.is(exitCode, 0, stderr);
  const known = (await valuesOf('development', key)) ?? {};
  const made = (await valuesOf('staging', key)) ?? {};
  assert.equal(Object.keys(made).sort(), Object.keys(known).sort());
  for (const [name, value] of Object.entries(made)) {
    assert.match(value, /^[0-9a-f]{32}$/, name);
    assert.is.not(value, known[name], name);
    assert.not.ok(`${stdout}${stderr}`.includes(value), name);
  }
  assert.is(new Set(Object.values(made)).size, Object.keys(known).length);
});

test('existing files stay as they are', async () => {
  const before = await readText(sandbox.path(fileOf('staging')));
  const { exitCode, stderr } = await sandbox.task('make-secrets', '--env', 'staging');
  assert.is(exitCode, 0, stderr);
  assert.is(await readText(sandbox.path(fileOf('staging'))), before);
});

test('new-environment takes the secrets of the environment it copies, with all their names', async () => {
  // Names are read without a key.
  const odd = 'smtp: { user: x }\n"a: b": x\nlist: [x, x]\nempty: ""\n';
  await writeFile(sandbox.path('environments/staging/secrets/odd.yaml'), odd);
  await rename(sandbox.path('environments/development'), sandbox.path('environments/first'));
  const words = ['new-environment', 'copied', '--from', 'staging', '--env', 'first'];
  const { exitCode, stderr } = await sandbox.task(...words);
  await rename(sandbox.path('environments/first'), sandbox.path('environments/development'));
  assert.is(exitCode, 0, stderr);
  const key = sandbox.path('sops/development-operational.asc');
  const made = (await openedBy(sandbox, [key], 'environments/copied/secrets/odd.yaml')) ?? '';
  assert.match(
    JSON.stringify(parse(made)).replaceAll(/[0-9a-f]{32}/g, 'x'),
    '{"smtp":{"user":"x"},"a: b":"x","list":["x","x"],"empty":"x"}',
  );
});

test('a rule that leaves values in plain text is named', async () => {
  const rules = await readText(sandbox.path('.sops.yaml'));
  await writeFile(sandbox.path('.sops.yaml'), `${rules.trimEnd()}\n    encrypted_regex: ^app\n`);
  await rm(sandbox.path(fileOf('staging')));
  const { stderr } = await sandbox.task('make-secrets', '--env', 'staging');
  await writeFile(sandbox.path('.sops.yaml'), rules);
  assert.match(stderr, `the rule for ${fileOf('staging')} in .sops.yaml does not encrypt all values`);
  assert.match(stderr, 'it leaves password,vaultPassword in plain text');
});

test('production refuses development keys and accepts its own', async () => {
  const words = ['make-secrets', '--env', 'production', '--context', 'some-context'];
  const refused = await sandbox.task(...words);
  assert.is(refused.exitCode, 2);
  assert.match(refused.stderr, 'the rule in .sops.yaml names a development key');
  const own = `${sandbox.home}/own.asc`;
  const { fingerprint, secret, open } = await makeKey(sandbox);
  await writeFile(own, secret);
  const second = await makeKey(sandbox);
  await writeFile(sandbox.path('sops/own.public.asc'), open);
  await writeFile(sandbox.path('sops/backup.public.asc'), second.open);
  const rules = await readText(sandbox.path('.sops.yaml'));
  const pgp = `${fingerprint},${second.fingerprint}`;
  const rule = `creation_rules:\n  - path_regex: environments/production/\n    pgp: ${pgp}\n`;
  await writeFile(sandbox.path('.sops.yaml'), rules.replace('creation_rules:\n', rule));
  sandbox.env.SOPS_PGP_KEY_FILE = own;
  const made = await sandbox.task(...words);
  delete sandbox.env.SOPS_PGP_KEY_FILE;
  assert.is(made.exitCode, 0, made.stderr);
  assert.ok(await valuesOf('production', own));
  assert.is(await valuesOf('production', sandbox.path('sops/development-operational.asc')), undefined);
});

test.run();
