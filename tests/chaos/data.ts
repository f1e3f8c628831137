import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import * as assert from 'uvu/assert';
import { forwarded } from '../integration/forwarded.ts';
import type { Sandbox } from '../integration/sandbox.ts';
import { bash } from '../rig/bash.ts';
import { environment } from './tasks.ts';

/* A row in PostgreSQL and a key in Vault for each round, none of which may be lost. */

const remembered: number[] = [];

/** After everything was removed, there is nothing to remember. */
export const forget = (): void => {
  remembered.length = 0;
};

/** Runs a script with the variables of `./run env`, but in another home: Vault's program writes to it. */
export async function inShell(sandbox: Sandbox, script: string): Promise<string> {
  const setup = 'set -euo pipefail; variables=$(./run env); eval "$variables"; HOME=/';
  const { stdout, stderr, exitCode } = await bash(`${setup}; ${script}`, sandbox);
  assert.is(exitCode, 0, `${script}: ${stderr}`);
  return stdout.trim();
}

/** Runs SQL in the database of an application, as the superuser. */
async function query(sandbox: Sandbox, sql: string): Promise<{ round: number }[]> {
  const file = `environments/${environment}/secrets/database.yaml`;
  const password = await inShell(sandbox, `sops decrypt --extract '["password"]' ${file}`);
  const ca = await readFile(sandbox.path('.state', environment, 'certificates/ca.crt'), 'utf8');
  return forwarded(sandbox, environment, ['database', 'postgresql', 5432], async (port) => {
    const login = { host: '127.0.0.1', port, user: 'postgres', password, database: 'app1', ssl: { ca } };
    const client = new Client(login);
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  });
}

const vault = (sandbox: Sandbox, words: string) =>
  forwarded(sandbox, environment, ['vault', 'vault', 8200], (port) =>
    inShell(sandbox, `VAULT_ADDR=https://127.0.0.1:${port} vault kv ${words}`),
  );

export async function remember(sandbox: Sandbox, round: number): Promise<void> {
  const table = 'CREATE TABLE IF NOT EXISTS chaos (round int PRIMARY KEY)';
  await query(sandbox, `${table}; INSERT INTO chaos VALUES (${round})`);
  const write = remembered.length === 0 ? 'put' : 'patch';
  await vault(sandbox, `${write} -mount=kv app1/chaos round${round}=${round}`);
  remembered.push(round);
}

/** What was lost of earlier rounds, a line each. */
export async function losses(sandbox: Sandbox): Promise<string[]> {
  if (remembered.length === 0) return [];
  const rows = new Set((await query(sandbox, 'SELECT round FROM chaos')).map(({ round }) => round));
  const { data } = JSON.parse(await vault(sandbox, 'get -mount=kv -format=json app1/chaos')).data;
  return remembered.flatMap((round) => [
    ...(rows.has(round) ? [] : [`row ${round} of PostgreSQL is lost`]),
    ...(data[`round${round}`] === String(round) ? [] : [`key ${round} of Vault is lost`]),
  ]);
}
