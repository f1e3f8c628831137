import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { openVault } from '../../integration/sandbox.ts';
import { runbook } from '../../rig/pages.ts';
import { environment, type Stack, until } from '../stack.ts';
import { assertLogins, claimedVolumes } from './deployment.ts';
import { query } from './failures.ts';

/** The commands of docs/restore.md, as a user with this home; what only some readers need is left out. */
const follow = async (stack: Stack, heading: string): Promise<string> =>
  (await stack.script(runbook(heading, ['sh']))).stderr;

export const tokenOfInitVault = (stack: Stack): Promise<string> =>
  stack.shell(`sops decrypt --extract '["admin_token"]' environments/${environment}/secrets/vault-keys.yaml`);

/** Runs `vault` in its pod with the token of init-vault. */
async function vault(stack: Stack, words: string): Promise<string> {
  const token = await tokenOfInitVault(stack);
  const script = `IFS= read -r VAULT_TOKEN; export VAULT_TOKEN VAULT_ADDR=https://127.0.0.1:8200; vault ${words}`;
  return stack.kubectl(['-n', 'vault', 'exec', '-i', 'vault-0', '--', 'sh', '-c', script], `${token}\n`);
}

/** The CronJob saves a snapshot of Vault with a policy and an account of its own. */
export async function vaultIsBackedUpBySchedule(stack: Stack): Promise<void> {
  await stack.kubectl(['-n', 'vault', 'create', 'job', 'backup-by-hand', '--from=cronjob/vault-backup']);
  try {
    const done = async () => (await stack.get('job', '-n', 'vault', 'backup-by-hand')).status.succeeded === 1;
    await until('a snapshot by the CronJob', 180, done);
    const said = await stack.kubectl(['-n', 'vault', 'logs', 'job/backup-by-hand']);
    assert.match(said, /^saved vault-\d{8}T\d{6}Z\.snap$/m);
  } finally {
    await stack.kubectl(['-n', 'vault', 'delete', 'job', 'backup-by-hand', '--wait']);
  }
}

export async function everythingIsBroughtBack(stack: Stack): Promise<void> {
  await rm(join(stack.home, 'backups'), { recursive: true, force: true });
  const fill = "create table notes as select n, 'word ' || n as word from generate_series(1, 1000) as n";
  const rows = async (app: string) => JSON.parse(await query(stack, 'select count(*)::int from notes', app));
  for (const app of ['app1', 'app2']) await query(stack, `drop table if exists notes; ${fill}`, app);
  await vault(stack, 'kv put -mount=kv app1/own word=remembered');
  assert.match(await follow(stack, 'Back up'), /app1: 1 table, 1000 rows[\s\S]*app2: 1 table, 1000 rows/);

  await stack.succeeds('destroy-environment', '--yes');
  await until('the end of the volumes', 120, async () => (await claimedVolumes(stack)).length === 0);

  assertLogins(await follow(stack, 'After a disaster'));
  for (const app of ['app1', 'app2']) {
    assert.equal(await rows(app), [{ count: 1000 }]);
    await query(stack, 'drop table notes', app);
  }
  assert.match(await vault(stack, 'kv get -mount=kv -field=word app1/own'), 'remembered');
  assert.equal((await stack.status()).vault, openVault);
}
