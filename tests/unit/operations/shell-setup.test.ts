import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { leftOut, settleVariables } from '../../../lib/ground/variables.ts';
import {
  environmentCommands,
  shellSetup,
  writeVaultConfiguration,
} from '../../../lib/operations/shell-setup.ts';
import { removeState, writeWhole } from '../../../lib/settings/environment.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { environmentIn } from '../../rig/task-context.ts';

const variables = { KUBECONFIG: "/a clone's/$state", VAULT_ADDR: 'http://127.0.0.1:1' };
const users = {
  ...{ SOPS_PGP_KEY_FILE: '/home/key.asc', SOPS_AGE_KEY_FILE: '/home/age', SOPS_PGP_FP: 'other' },
  ...{ ENVIRONMENT: 'staging', HELM_NAMESPACE: 'other', KUBECONFIG: '/home/config' },
  ...{ VAULT_TOKEN: 'other', VAULT_ADDR: 'https://other' },
};

test('a shell gets the variables, keeps the user’s, and drops those of other clusters, even if run twice', () => {
  settleVariables({ ...users }, root);
  const lines = shellSetup(variables, leftOut).join('\n');
  for (const times of [1, 2]) {
    const script = `set -eu; ${'eval "$LINES_OF_ENV"; '.repeat(times)} unset LINES_OF_ENV; env -0`;
    const env = { ...users, PATH: process.env.PATH, LINES_OF_ENV: lines };
    const shown = execFileSync('sh', ['-c', script], { env, encoding: 'utf8' }).split('\0');
    for (const line of [
      ...[`KUBECONFIG=${variables.KUBECONFIG}`, 'VAULT_ADDR=http://127.0.0.1:1', 'ENVIRONMENT=staging'],
      ...['SOPS_PGP_KEY_FILE=/home/key.asc', 'SOPS_AGE_KEY_FILE=/home/age'],
    ])
      assert.ok(shown.includes(line), line);
    assert.not.match(shown.join('\n'), /HELM_NAMESPACE|VAULT_TOKEN|SOPS_PGP_FP/);
  }
  // Nothing is unset that is none of these.
  assert.equal(shellSetup({ PATH: '/bin' }, ['HOME', 'MY_VAULT_ADDR']), ['export PATH=/bin']);
});

const project = copyOf('environments', 'vault/token-helper.sh');

test('Vault’s token helper works in a path with special characters', async () => {
  const environment = environmentIn(join(project.folder, `it's "a" $HOME (clone)`));
  const plainState = join(project.folder, 'plain');
  symlinkSync(environment.state, plainState);
  await writeWhole(environment.kubeconfig, '');
  const path = await writeVaultConfiguration({ ...environment, root, plainState });
  const helper = JSON.parse(readFileSync(path, 'utf8').replace('token_helper = ', ''));
  for (const [keys, token] of [
    [{ admin_token: 'hvs.token' }, 'hvs.token'],
    [{ unseal_keys_b64: ['a'], root_token: 'hvs.root' }, ''],
  ] as const) {
    writeFileSync(join(environment.state, 'vault/keys.json'), JSON.stringify(keys, null, 2));
    // As vault calls it.
    assert.is(execFileSync('sh', ['-c', `${helper} get`], { encoding: 'utf8' }), token);
  }
});

test('the plain commands of `env` set the same token helper up, and show no token', async () => {
  const cwd = join(project.folder, `it's "a" & $HOME | (clone)`);
  symlinkSync(project.folder, cwd);
  const environment = environmentIn(cwd);
  await writeWhole(join(environment.state, 'vault/keys.json'), '{"admin_token": "hvs.token"}');
  const commands = await environmentCommands({ environment });
  const script = [
    ...commands.filter((command) => !command.startsWith('kubectl')),
    '[ -z "$VAULT_TOKEN" ]',
    '$(sed -n \'s/token_helper = "\\(.*\\)"/\\1/p\' "$VAULT_CONFIG_PATH") get',
  ].join('\n');
  const env = { PATH: process.env.PATH };
  const token = execFileSync('sh', ['-ec', script], { cwd, env: { ...env, PWD: cwd }, encoding: 'utf8' });
  await removeState(environment);
  assert.is(token, 'hvs.token', script);
});

test.run();
