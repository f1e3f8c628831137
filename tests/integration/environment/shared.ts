import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../../lib/ground/poll.ts';
import { atDatabase, makeSandbox, secretOf } from '../sandbox.ts';

export const sandbox = await makeSandbox();
/** `somebody` is an administrator with a shell. */
export const { succeeds, refuses, status, shell: somebody } = sandbox;

export const state = (...names: string[]): string => sandbox.path('.state', 'development', ...names);
export const settingsFile = (): string => sandbox.path('environments/development/settings.yaml');
export const secretsFile = (): string => sandbox.path('environments/development/secrets/database.yaml');

/** Runs the suites that are named on the command line, all without names. */
export function runScenarios(suites: { readonly [name: string]: Test }): void {
  const asked = process.argv.slice(2);
  for (const [name, scenario] of Object.entries(suites))
    if (asked.length === 0 || asked.includes(name)) scenario.run();
}

/** Changes or removes a file while `body` runs. */
export async function withFile(
  path: string,
  change: (text: string) => string | undefined,
  body: () => Promise<unknown>,
): Promise<void> {
  const before = await readFile(path, 'utf8');
  const after = change(before);
  assert.is.not(after, before, path);
  if (after === undefined) await rm(path);
  else await writeFile(path, after);
  try {
    await body();
  } finally {
    await writeFile(path, before);
  }
}

export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
}

export async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  assert.ok(await poll(async () => (await holds()) || undefined, 180_000), `${what} within 180 s`);
}

export const fieldOf = (object: string, path: string): Promise<string> =>
  somebody(`kubectl -n backend get ${object} -o jsonpath={${path}}`);

export const generationOf = async (deployment: string): Promise<number> =>
  Number(await fieldOf(`deployment/${deployment}`, '.metadata.generation'));

export const loginOf = (app: string) => secretOf(sandbox, 'backend', `${app}-back-database`);

/** Logs in with the parameters of an application. Returns the server's refusal, or undefined. */
export function login(
  secret: Readonly<Record<string, string>>,
  password = secret.DB_PASSWORD ?? '',
  sql = 'SELECT 1',
): Promise<string | undefined> {
  const { DB_USER: user = '', DB_NAME: database = '' } = secret;
  const asked = atDatabase(sandbox, 'development', { user, password, database }, (query) => query(sql));
  return asked.then(
    () => undefined,
    (error: Error) => error.message,
  );
}
