import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refuseDevelopmentKeys } from '../../../lib/secrets/development-keys.ts';
import { readEncrypted } from '../../../lib/secrets/encrypted-file.ts';
import { importKeys, removeKeyring } from '../../../lib/secrets/keyring.ts';
import { makeSecrets } from '../../../lib/secrets/make.ts';
import { decryptValue } from '../../../lib/secrets/sops.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { findProgram } from '../../rig/programs.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { fails, taskContext } from '../../rig/task-context.ts';

/* age keys with the real sops, which has age built in. No OpenPGP key is given. */

const test = suite('age keys');
const sops = findProgram('SOPS', 'sops');
const clone = scriptedFolder('.sops.yaml', 'environments', 'sops');
clone.script('sops', `exec ${sops} "$@"`);

const file = 'environments/production/secrets/database.yaml';
const pgpBackup = '7391ED9669BE079245196E270E084F89DA0EFFF6';

/** Pairs as age-keygen makes them, which open nothing else. */
const [operational, backup] = [
  {
    secret: 'AGE-SECRET-KEY-'.concat('1VP0ZNDSP8ZG6T9ZT8GCHXAU7X9PKZEW7JGJVL4G7MHH3ADZJ09RS70WQJA'),
    recipient: 'age190yhgt2mzf2klskl4mgzdczkh9pf4czhjf2k0ltjxeew6ge4wdzqhs7ztq',
  },
  {
    secret: 'AGE-SECRET-KEY-'.concat('15R6GRK3KR9ZRUSY5Z55E5EMH6QQEQ8SVKXS4P5EZYZV8XURRKAHQLG0QZ6'),
    recipient: 'age1h45nrc8c50x2zkst6lll95s65xczm8j7swvkzklel9u9vy03k4yq72u3u9',
  },
];

async function production(rule: string): Promise<CloneContext> {
  const rules = join(clone.folder, '.sops.yaml');
  const added = `creation_rules:\n  - path_regex: environments/production/\n${rule}`;
  writeFileSync(rules, readFileSync(rules, 'utf8').replace('creation_rules:\n', added));
  const context = taskContext({ env: 'production', provider: 'existing', context: 'some' }, [], clone.folder);
  const settings = await loadSettings(context.environment);
  return { ...context, settings: { ...settings, sops: { ...settings.sops, key: '/nonexistent.asc' } } };
}

test.after.each(() => {
  delete process.env.SOPS_AGE_KEY;
  delete process.env.SOPS_AGE_KEY_FILE;
  clone.reset();
});

const twoAgeKeys = `    age: ${operational.recipient},${backup.recipient}\n`;

test('secrets are created and read with SOPS_AGE_KEY or SOPS_AGE_KEY_FILE, without an OpenPGP key', async () => {
  const context = await production(twoAgeKeys);
  await refuseDevelopmentKeys(context);
  process.env.SOPS_AGE_KEY = `# operational\n${operational.secret}\n`;
  assert.is(await importKeys(context), 'unchanged');
  assert.ok(context.secrets.includes(operational.secret));
  await makeSecrets(context);
  const { recipients } = await readEncrypted(clone.folder, file);
  assert.equal(recipients, [operational.recipient, backup.recipient]);
  const password = await decryptValue(context, 'database.yaml', 'password');
  assert.match(password, /^[0-9a-f]{32}$/);
  delete process.env.SOPS_AGE_KEY;
  const decrypt = () => decryptValue(context, 'database.yaml', 'password');
  await fails(decrypt(), { what: `no key in the keyring opens ${file}` });
  process.env.SOPS_AGE_KEY = `"${operational.secret}"`;
  await fails(decrypt(), {
    why: "failed to parse 'SOPS_AGE_KEY' age identities: unknown identity type",
  });
  delete process.env.SOPS_AGE_KEY;
  process.env.SOPS_AGE_KEY_FILE = join(clone.folder, '..', 'backup.txt');
  writeFileSync(process.env.SOPS_AGE_KEY_FILE, `${backup.secret}\n`);
  assert.is(await decrypt(), password);
});

test('an age key and an OpenPGP backup key: only its public half is needed', async () => {
  const context = await production(`    age: ${operational.recipient}\n    pgp: ${pgpBackup}\n`);
  process.env.SOPS_AGE_KEY = operational.secret;
  assert.is(await importKeys(context), 'changed');
  await makeSecrets(context);
  const { recipients } = await readEncrypted(clone.folder, file);
  assert.equal([...recipients].sort(), [pgpBackup, operational.recipient]);
  assert.ok(await decryptValue(context, 'database.yaml', 'password'));
  await removeKeyring(context);
});

test('production refuses a development key of age', async () => {
  const list = join(clone.folder, 'sops', 'development-keys.yaml');
  const context = await production(twoAgeKeys);
  writeFileSync(list, `${readFileSync(list, 'utf8')}- ${backup.recipient}\n`);
  const known = new RegExp(`names a development key, ${backup.recipient}`);
  await fails(refuseDevelopmentKeys(context), { what: known });
});

test.run();
