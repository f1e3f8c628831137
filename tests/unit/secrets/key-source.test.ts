import { homedir } from 'node:os';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importCommands } from '../../../lib/secrets/keyring.ts';
import { keySource } from '../../../lib/secrets/operational-key.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { environmentIn } from '../../rig/environment.ts';

const test = suite('source of the operational key');

const target = (key: string) => ({
  environment: environmentIn('/project'),
  settings: { sops: { key } } as Settings,
});

function failure(run: () => unknown): TaskError {
  try {
    run();
  } catch (error) {
    if (error instanceof TaskError) return error;
  }
  throw new Error('expected a TaskError');
}

test('a key in place of its path is refused, and not shown', () => {
  const key = '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGsecret\n';
  const refused = (place: string, setting: string): void => {
    for (const run of [() => keySource(target(setting)), () => importCommands(target(setting))]) {
      const error = failure(run);
      assert.is(error.what, `${place} holds a key, not a path`);
      assert.match(error.advice, 'SOPS_PGP_KEY;');
      assert.not.match(JSON.stringify([error, error.message]), 'lQVY');
    }
  };
  for (const text of [key, key.replaceAll('\n', ' '), 'lQVYBGone\nlQVYBGtwo']) {
    process.env.SOPS_PGP_KEY_FILE = text;
    try {
      refused('SOPS_PGP_KEY_FILE', 'own.asc');
    } finally {
      delete process.env.SOPS_PGP_KEY_FILE;
    }
    refused('the setting sops.key', text);
  }
});

test('the setting may name a file of the home', () => {
  const source = keySource(target('~/keys/own.asc'));
  assert.is(source.kind === 'file' && source.path, join(homedir(), 'keys/own.asc'));
});

test.run();
