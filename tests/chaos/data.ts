import { readFile } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { atDatabase, forwarded } from '../integration/forwarded.ts';
import type { Sandbox } from '../integration/sandbox.ts';
import { bash } from '../rig/bash.ts';
import { environment } from './tasks.ts';

/* A row in PostgreSQL and a key in Vault for each round, none of which may be lost. */

let rounds: number[] = [];

/** All secrets that the environment has had; none may be in a file for others, or be printed. */
export const secrets = new Set<string>();

/** After everything was removed, there is nothing to remember. */
export const forget = (): void => {
  rounds = [];
};

/** Returns what was lost of earlier rounds, a line each, and remembers another one. Collects the present secrets. */
export async function checkData(sandbox: Sandbox, round: number): Promise<string[]> {
  const state = (name: string) => readFile(sandbox.path('.state', environment, name), 'utf8');
  const file = `environments/${environment}/secrets/database.yaml`;
  const write = rounds.length === 0 ? 'put' : 'patch';
  const known = 'app1/chaos';
  // Another home, because Vault's program writes to it.
  const output = await forwarded(sandbox, environment, ['vault', 'vault', 8200], async (port) => {
    const script = `set -euo pipefail; variables=$(./run env); eval "$variables"; export HOME=/ VAULT_ADDR=https://127.0.0.1:${port}
      vault kv ${write} -mount=kv ${known} round${round}=${round} >&2
      vault kv get -mount=kv -format=json ${known}; echo ---; sops decrypt ${file}
      gpgconf --kill all`;
    const { stdout, stderr, exitCode } = await bash(script, sandbox);
    assert.is(exitCode, 0, stderr);
    return stdout;
  });
  const [json = '', decrypted = ''] = output.split('\n---\n');
  const keys = JSON.parse(json).data.data;
  const passwords = [...decrypted.matchAll(/: "?([^"\s]{10,})"?$/gm)].map(([, value = '']) => value);
  const tokens = (await state('vault/keys.json')).match(/[\w+/=.-]{24,}/g) ?? [];
  const [, clientKey = ''] = /client-key-data: (\S+)/.exec(await state('kubeconfig')) ?? [];
  for (const secret of [...passwords, ...tokens, clientKey]) if (secret !== '') secrets.add(secret);

  const [, password = ''] = /^password: "?([^"\n]*)/m.exec(decrypted) ?? [];
  const login = { user: 'postgres', password, database: 'app1' };
  const rows = await atDatabase(sandbox, environment, login, async (client) => {
    await client.query(`CREATE TABLE IF NOT EXISTS chaos (round int PRIMARY KEY)`);
    await client.query(`INSERT INTO chaos VALUES (${round})`);
    return (await client.query('SELECT round FROM chaos')).rows.map((row) => row.round);
  });
  rounds.push(round);
  return rounds.flatMap((round) => [
    ...(rows.includes(round) ? [] : [`row ${round} of PostgreSQL is lost`]),
    ...(keys[`round${round}`] === String(round) ? [] : [`key ${round} of Vault is lost`]),
  ]);
}
