import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shellSetup } from '../../../lib/shell-setup.ts';

const variables = { KUBECONFIG: "/a clone's/$state", VAULT_ADDR: 'http://127.0.0.1:1' };
const users = {
  SOPS_PGP_KEY_FILE: '/home/key.asc',
  SOPS_AGE_KEY_FILE: '/home/age',
  ENVIRONMENT: 'staging',
  HELM_NAMESPACE: 'other',
  VAULT_TOKEN: 'other',
  VAULT_ADDR: 'https://other',
  KUBECONFIG: '/home/config',
};

test('a shell gets the variables, keeps the user’s own, and loses those that lead elsewhere; once and twice', () => {
  const lines = shellSetup(variables, Object.keys(users)).join('\n');
  for (const times of [1, 2]) {
    const script = `set -eu; ${'eval "$LINES_OF_ENV"; '.repeat(times)} unset LINES_OF_ENV; env -0`;
    const env = { ...users, PATH: process.env.PATH, LINES_OF_ENV: lines };
    const shown = execFileSync('sh', ['-c', script], { env, encoding: 'utf8' }).split('\0');
    for (const line of [
      ...[`KUBECONFIG=${variables.KUBECONFIG}`, 'VAULT_ADDR=http://127.0.0.1:1', 'ENVIRONMENT=staging'],
      ...['SOPS_PGP_KEY_FILE=/home/key.asc', 'SOPS_AGE_KEY_FILE=/home/age'],
    ])
      assert.ok(shown.includes(line), line);
    assert.not.match(shown.join('\n'), /HELM_NAMESPACE|VAULT_TOKEN/);
  }
});

test('a shell that has nothing of the kind is not told to remove it', () => {
  assert.equal(shellSetup({ PATH: '/bin' }, ['HOME', 'MY_VAULT_ADDR']), ['export PATH=/bin']);
});

test.run();
