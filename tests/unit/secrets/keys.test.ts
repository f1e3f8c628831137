import { cpSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { folder, useFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { refuseDevelopmentKeys, type Secured } from '../../../lib/secrets/development-keys.ts';
import { encryptionProblem, keysIn } from '../../../lib/secrets/key-parts.ts';
import { importCommands } from '../../../lib/secrets/keyring.ts';
import { checkPlace } from '../../../lib/secrets/new-key.ts';
import { keySource } from '../../../lib/secrets/operational-key.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { environmentIn, fails } from '../../rig/task-context.ts';

const key = (validity: string, expires: string, uses: string, sub = ''): string =>
  `pub:${validity}:3072:1:7971F8B9DCB2DC3C:1577836800:${expires}::-:::${uses}::::::23::0:
fpr:::::::::9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C:
uid:${validity}::::1577836800::A7E03B346243DFF155921D247E7084AFF5611542::e-mail: <a@b>::::::::::0:
${sub}`;

const part = (validity: string, expires: string, uses = 'e'): string =>
  `sub:${validity}:3072:1:10523AE52C17DD10:1577836800:${expires}:::::${uses}::::::23:
fpr:::::::::16BB85A2A93D4E4FDB1634EE10523AE52C17DD10:
`;

test('the reason why a key cannot encrypt has its date', () => {
  const past = '1609372800';
  const signs = 'no part of the key encrypts: it only signs';
  for (const [listing, reason] of [
    [key('-', '', 'scESC', part('-', ''))],
    // A newer part; one part for everything.
    [key('u', '', 'scESC', part('e', past) + part('u', ''))],
    [key('-', '', 'escESC')],
    [key('e', past, 'sc', part('e', '')), 'the key expired on 2020-12-31'],
    [key('r', '', 'sc', part('r', '')), 'the key was revoked'],
    [key('-', '', 'scESCD', part('-', '')), 'the key is disabled'],
    [key('-', '', 'scSC', part('e', past)), 'its part that encrypts expired on 2020-12-31'],
    [key('-', '', 'scSC', part('r', '')), 'its part that encrypts was revoked'],
    [key('-', '', 'scSC'), signs],
    [key('-', '', 'scSC', part('-', '', 'a')), signs],
  ] as [string, string?][])
    assert.equal(keysIn(listing).map(encryptionProblem), [reason]);
});

const target = (key: string) => ({
  environment: environmentIn('/project'),
  settings: { sops: { key } } as Settings,
});

test('a key in place of its path is refused, and not shown', async () => {
  const key = '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGsecret\n';
  const refused = async (place: string, setting: string) => {
    for (const run of [keySource, importCommands]) {
      const what = `${place} holds a key, not a path`;
      const error = await fails(() => run(target(setting)), { what, advice: /SOPS_PGP_KEY;/ });
      assert.not.match(JSON.stringify([error, error.message]), 'lQVY');
    }
  };
  for (const text of [key, key.replaceAll('\n', ' '), 'lQVYBGone\nlQVYBGtwo']) {
    process.env.SOPS_PGP_KEY_FILE = text;
    await refused('SOPS_PGP_KEY_FILE', 'own.asc').finally(() => {
      delete process.env.SOPS_PGP_KEY_FILE;
    });
    await refused('the setting sops.key', text);
  }
});

test('the setting may name a file of the home', () => {
  const source = keySource(target('~/keys/own.asc'));
  assert.is(source.kind === 'file' && source.path, join(homedir(), 'keys/own.asc'));
});

const file = 'environments/development/secrets/database.yaml';
const operational = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
const own = '0123456789ABCDEF0123456789ABCDEF01234567';

useFolder(test);
test.before.each(() => {
  for (const entry of ['.sops.yaml', file, 'sops'])
    cpSync(join(root, entry), join(folder, entry), { recursive: true });
});

function rename(path: string, from: string, to: string): void {
  const full = join(folder, path);
  writeFileSync(full, readFileSync(full, 'utf8').replaceAll(from, to));
}

type Choice = { readonly production?: boolean; readonly setting?: boolean; readonly option?: boolean };

const input = (
  provider: ProviderName,
  { production = false, setting = false, option = false }: Choice = {},
): Secured => ({
  environment: environmentIn(folder, provider),
  settings: {
    ...{ production, sops: { key: 'sops/development-operational.asc', allowDevelopmentKeys: setting } },
  } as Settings,
  options: { allowDevelopmentKeys: option },
});

const check = (provider: ProviderName = 'existing', choice?: Choice) =>
  refuseDevelopmentKeys(input(provider, choice));
const refused = (what: string | RegExp) => fails(check(), { what });

test('a list of known keys that is gone, damaged or no list is named', async () => {
  const list = 'sops/development-keys.yaml';
  for (const [text, what] of [
    ['a: 1\n', `${list} cannot be read`],
    ['- [\n', new RegExp(`^${list}:2 is not valid YAML`)],
  ] as const) {
    writeFileSync(join(folder, list), text);
    await fails(check(), { what });
  }
  rmSync(join(folder, list));
  await fails(check(), { what: `${list} cannot be read`, why: /ENOENT/, advice: /from a copy/ });
});

test('on this machine, or by the option or the setting, they may be used; an existing cluster and `production: true` refuse them', async () => {
  for (const provider of ['embedded', 'minikube'] as const) await check(provider);
  for (const choice of [{ option: true }, { production: true, setting: true }])
    await check('existing', choice);
  await fails(check(), {
    what: `${file} is encrypted for a development key, ${operational}`,
    why: /^the provider is `existing`/,
    advice: /sops\/README\.md.*--allow-development-keys.*sops\.allowDevelopmentKeys/,
    exitCode: 2,
  });
  const why = /^environment `development` says `production: true`/;
  await fails(check('embedded', { production: true }), { why });
});

test('keys are known by their fingerprint: in a file, in the rule for new ones, short or in small letters', async () => {
  // Whatever the key's file is called.
  renameSync(join(folder, 'sops/development-operational.asc'), join(folder, 'sops/ours.asc'));
  await refused(new RegExp(operational));

  rename(file, operational, own);
  await refused(`${file} is encrypted for a development key, ${backup}`);
  const short = backup.slice(-16);
  rename(file, backup, short.toLowerCase());
  await refused(new RegExp(short));
  rename(file, short.toLowerCase(), own);
  await refused(/^the rule in \.sops\.yaml names a development key, /);

  rename('.sops.yaml', operational, own);
  rename('.sops.yaml', backup, own);
  await refused(new RegExp(`names no backup key beside ${own}`));
  rename('.sops.yaml', own, `${own.slice(1)}0, ${own}`);
  await check();
  // The part of the key that encrypts.
  rename(file, own, '16BB85A2A93D4E4FDB1634EE10523AE52C17DD10');
  await refused(/16BB85A2A93D4E4FDB1634EE10523AE52C17DD10/);
  // A key of age.
  const age = 'age190yhgt2mzf2klskl4mgzdczkh9pf4czhjf2k0ltjxeew6ge4wdzqhs7ztq';
  writeFileSync(join(folder, 'sops/development-keys.yaml'), `- ${age}\n`);
  await check();
  rename('.sops.yaml', 'pgp:', `age: ${age}\n    pgp:`);
  await refused(new RegExp(`names a development key, ${age}`));
});

test('where they are refused, no new one is created; your own goes neither into the project nor over another file', async () => {
  const what = 'a new development key would protect nothing';
  await fails(checkPlace(input('existing'), undefined), { what, exitCode: 2 });
  await checkPlace(input('existing'), '/nonexistent/own.asc');
  await checkPlace(input('embedded'), undefined);
  const place = (path: string) => checkPlace(input('embedded'), path);
  await fails(place(join(folder, 'sops/own.asc')), { what: /sops\/own\.asc lies in the project$/ });
  symlinkSync(folder, `${folder}-link`);
  await fails(place(`${folder}-link/own.asc`), { what: /lies in the project$/ });
  await fails(place('/etc/passwd'), { what: '/etc/passwd already exists', exitCode: 2 });
});

test.run();
