import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { bash } from '../../rig/bash.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { stored } from './transcripts.ts';

/* Transcripts pasted into a shell, which goes on after a failed command. */

const clone = scriptedFolder('sops');
for (const program of ['createdb', 'dropdb', 'gpg', 'openssl', 'pg_restore', 'psql', 'sops', 'vault'])
  clone.script(program, 'exit 2');
clone.script('kubectl', 'exit 0');

/** Each may be the only copy. */
const kept = ['.state/development/vault/keys.json', 'sops/development-operational.asc'];

for (const [provider, task] of [
  ['embedded', 'restore-database'],
  ['embedded', 'restore-vault'],
  ['embedded', 'rotate-keys'],
  ['embedded', 'init-vault'],
  ['existing', 'init-vault'],
] satisfies [ProviderName, string][])
  test(`${provider}: what the pasted commands of ${task} replace is there until the replacement is`, async () => {
    clone.forget();
    for (const file of kept) {
      mkdirSync(dirname(join(clone.folder, file)), { recursive: true });
      writeFileSync(join(clone.folder, file), '{}\n');
    }
    await bash(stored(provider).get(task) ?? '', { folder: clone.folder, env: process.env });
    for (const file of kept) assert.is(readFileSync(join(clone.folder, file), 'utf8'), '{}\n', file);
    assert.equal(
      clone.calls().filter((call) => /^dropdb|--delete-secret/.test(call)),
      [],
    );
  });

test.run();
