import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { initCommands } from '../../../lib/vault/api/dry-run.ts';
import {
  changed,
  converge,
  removeServers,
  reviewer,
  type Servers,
  settingsOf,
  startServers,
} from './servers.ts';

const test = suite<Servers>('vault, plain commands');

test.after(removeServers);

test('the plain commands of the dry run configure the same Vault', async (context) => {
  await startServers(context);
  const { folder, keysPath, address, identity, authorityFile } = context.vault;
  await mkdir(join(folder, 'keys'));
  // Instead of sops with the project's key, which is not tested here.
  await writeFile(join(folder, 'sops'), `#!/bin/sh\nprintf %s ${context.password}\n`);
  await chmod(join(folder, 'sops'), 0o755);
  const commands = initCommands({
    ...{ state: context.state, environment: 'development', address, keysPath },
    trust: { file: relative(root, authorityFile), serverName: identity.name, write: undefined },
    settings: settingsOf(context),
    databaseAuthorityFile: context.database.authorityFile,
    kubernetes: { host: context.review.host, reviewerTokenCommand: `printf %s ${reviewer}` },
  }).join('\n');
  assert.not.match(commands, context.password);
  const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder };
  const { exitCode, stderr } = await ended(spawn('sh', ['-eu', '-c', commands], { cwd: root, env }));
  assert.is(exitCode, 0, stderr);
  assert.is((await stat(keysPath)).mode & 0o777, 0o600);
  assert.not.match(await readFile(keysPath, 'utf8'), 'root_token');
  // Only the record of values that Vault does not show is missing, since no command writes it.
  assert.equal(changed(await converge(context)), [
    'auth/kubernetes/config: token_reviewer_jwt',
    'database/config/postgresql: password',
  ]);
  assert.not.match(await readFile(join(folder, 'written.json'), 'utf8'), reviewer);
});

test.run();
