import { homedir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importCommands } from '../../../lib/secrets/keyring.ts';
import { keySource } from '../../../lib/secrets/operational-key.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { environmentIn } from '../../rig/environment.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('source of the operational key');

const target = (key: string) => ({
  environment: environmentIn('/project'),
  settings: { sops: { key } } as Settings,
});

test('a key in place of its path is refused, and not shown', async () => {
  const key = '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGsecret\n';
  const refused = async (place: string, setting: string) => {
    for (const run of [keySource, importCommands]) {
      const error = await failureOf((async () => run(target(setting)))());
      assert.is(error.what, `${place} holds a key, not a path`);
      assert.match(error.advice, 'SOPS_PGP_KEY;');
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

test.run();
